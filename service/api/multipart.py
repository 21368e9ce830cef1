"""Multipart bodies, form-data and related alike, taken apart as they arrive (RFC 2046, 5.1)."""

import re
import uuid
from collections.abc import Mapping, Sequence
from typing import Protocol

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser

from service.errors import InvalidRequest

MAX_PARAMETERS = 1024

# RFC 2046, 5.1.1 allows 70 characters, Orthanc's DICOMweb plug-in writes 73; the parser takes 256.
BOUNDARY = re.compile(
    r";\s*boundary=(?:\"(?P<quoted>[^\"\\\r\n]{1,256})\"|(?P<bare>[^\s;\",]{1,256}))",
    re.IGNORECASE,
)


def media_type_and_boundary(content_type: str) -> tuple[str, bytes]:
    """Split a Content-Type into its lower-case media type and its boundary, empty if it has none.

    The boundary is read by the grammar of RFC 2046, 5.1.1, quoted or not; the standard library's
    parser decodes names in codecs of the caller's choice, and takes long over long headers.
    """
    media_type, _, parameters = content_type.partition(";")
    found = BOUNDARY.search(";" + parameters[:MAX_PARAMETERS])
    boundary = (found["quoted"] or found["bare"]) if found else ""
    return media_type.strip().lower(), boundary.encode("latin-1", "replace")


def related(parts: Sequence[bytes], media_type: str) -> tuple[bytes, str]:
    """Put files of one type into a multipart/related body (RFC 2387); give it and its type."""
    boundary = uuid.uuid4().hex
    head = f"--{boundary}\r\nContent-Type: {media_type}\r\n\r\n".encode()
    body = b"".join(head + part + b"\r\n" for part in parts) + f"--{boundary}--\r\n".encode()
    return body, f'multipart/related; type="{media_type}"; boundary={boundary}'


class PartSink(Protocol):
    """Takes the parts, one after another."""

    def begin(self, headers: Mapping[str, str]) -> None:
        """Start a part; `headers` by lower-case name."""

    def write(self, data: bytes) -> None:
        """Take further bytes of its content."""

    def end(self) -> None:
        """Finish the part: all of its content came."""


class MultipartReader:
    """Takes a body apart piece by piece; contents stay byte-exact however it is cut.

    Parameters
    ----------
    boundary
        That of the Content-Type.
    sink
        Where the parts go.
    most_parts
        Bound on their number.

    Raises
    ------
    InvalidRequest
        There is no boundary.
    """

    def __init__(self, boundary: bytes, sink: PartSink, *, most_parts: int) -> None:
        if not boundary:
            raise InvalidRequest(
                "multipart-broken", "The multipart body has no boundary parameter."
            )
        self._sink, self._most_parts = sink, most_parts
        self._begun = 0
        self._ended = False
        self._headers: dict[str, str] = {}
        self._name, self._value = bytearray(), bytearray()
        self._parser = MultipartParser(
            boundary,
            {
                "on_part_begin": self._begin,
                "on_header_field": lambda data, start, end: self._name.extend(data[start:end]),
                "on_header_value": lambda data, start, end: self._value.extend(data[start:end]),
                "on_header_end": self._header_end,
                "on_headers_finished": lambda: sink.begin(self._headers),
                "on_part_data": lambda data, start, end: sink.write(data[start:end]),
                "on_part_end": sink.end,
                "on_end": self._end,
            },
        )

    def feed(self, piece: bytes) -> None:
        """Take a further piece of the body.

        Raises
        ------
        InvalidRequest
            It is no multipart body, or has too many parts.
        """
        try:
            self._parser.write(piece)
        except FormParserError:
            raise InvalidRequest(
                "multipart-broken", "The multipart body cannot be parsed."
            ) from None

    def close(self) -> None:
        """Say that this was all.

        Raises
        ------
        InvalidRequest
            The last boundary is missing.
        """
        if not self._ended:
            raise InvalidRequest(
                "multipart-broken", "The multipart body ends before its last boundary."
            )

    def _begin(self) -> None:
        if self._begun == self._most_parts:
            raise InvalidRequest("too-many-parts", f"More than {self._most_parts} parts.")
        self._begun += 1
        self._headers = {}

    def _header_end(self) -> None:
        self._headers[self._name.decode("latin-1").lower()] = self._value.decode("latin-1")
        self._name.clear()
        self._value.clear()

    def _end(self) -> None:
        self._ended = True
