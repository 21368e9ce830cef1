"""Multipart bodies, form-data and related alike, taken apart as they arrive (RFC 2046, 5.1)."""

import re
import uuid
from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

from service.errors import InvalidRequest

MAX_PARAMETERS = 1024

MAX_PART_HEADER_BYTES = 16 * 1024
MAX_PART_FIELDS = 64
MAX_PADDING = 1024
"""Of each part's header, and of the blanks after a boundary."""

# RFC 2046, 5.1.1 allows 70 characters, Orthanc's DICOMweb plug-in writes 73.
BOUNDARY = re.compile(
    r";\s*boundary=(?:\"(?P<quoted>[^\"\\\r\n]{1,256})\"|(?P<bare>[^\s;\",]{1,256}))",
    re.IGNORECASE,
)
TYPE = re.compile(r";\s*type=(?:\"([^\"]*)\"|([^\s;\"]*))", re.IGNORECASE)


def media_type_and_boundary(content_type: str) -> tuple[str, bytes]:
    """Split a Content-Type into its lower-case media type and its boundary, empty if it has none.

    The boundary is read by the grammar of RFC 2046, 5.1.1, quoted or not; the standard library's
    parser decodes names in codecs of the caller's choice, and takes long over long headers.
    """
    media_type, _, parameters = content_type.partition(";")
    found = BOUNDARY.search(";" + parameters[:MAX_PARAMETERS])
    boundary = (found["quoted"] or found["bare"]) if found else ""
    return media_type.strip().lower(), boundary.encode("latin-1", "replace")


def type_of_parts(content_type: str) -> str:
    """Return the `type` parameter of a multipart/related body (RFC 2387), lower-case or empty."""
    named = TYPE.search(";" + content_type.partition(";")[2][:MAX_PARAMETERS])
    return (named[1] or named[2] or "").lower() if named else ""


def related(parts: Sequence[bytes], media_type: str) -> tuple[bytes, str]:
    """Put files of one type into a multipart/related body (RFC 2387); give it and its type."""
    boundary = uuid.uuid4().hex
    head = f"--{boundary}\r\nContent-Type: {media_type}\r\n\r\n".encode()
    body = b"".join(head + part + b"\r\n" for part in parts) + f"--{boundary}--\r\n".encode()
    return body, f'multipart/related; type="{media_type}"; boundary={boundary}'


def form_data(parts: Sequence[tuple[str, str, bytes]]) -> tuple[bytes, str]:
    """Put files into a multipart/form-data body (RFC 7578); give it and its type.

    Parameters
    ----------
    parts
        Of each file its name, which is the field's too, its media type and its content.
    """
    boundary = uuid.uuid4().hex
    pieces = []
    for name, media_type, content in parts:
        head = (
            f'--{boundary}\r\nContent-Disposition: form-data; name="{name}"; filename="{name}"\r\n'
            f"Content-Type: {media_type}\r\n\r\n"
        )
        pieces += [head.encode("ascii"), content, b"\r\n"]
    body = b"".join([*pieces, f"--{boundary}--\r\n".encode()])
    return body, f"multipart/form-data; boundary={boundary}"


# What follows a boundary (RFC 2046, 5.1.1): the two hyphens of the last one, or blanks and the
# line's end; and what may yet become that.
AFTER_BOUNDARY = re.compile(rb"(?P<last>--)|[ \t]*(?P<end>\r?\n)")
PERHAPS_AFTER = re.compile(rb"-|[ \t]*\r?")
# RFC 5322, 2.2: a name, and a value that may be folded.
FIELD = re.compile(rb"(?P<name>[!#-'*+\-.0-9A-Z^-z|~]+):[ \t]*(?P<value>[^\0\r\n]*)")


class PartSink(Protocol):
    """Takes the parts, one after another."""

    def begin(self, headers: Mapping[str, str]) -> None:
        """Start a part; `headers` by lower-case name."""

    def write(self, data: memoryview) -> None:
        """Take further bytes of its content."""

    def end(self) -> None:
        """Finish the part: all of its content came."""


class MultipartReader:
    """Takes a body apart piece by piece; contents stay byte-exact however it is cut.

    Text before the first boundary and after the last is ignored, blanks may follow a boundary,
    and headers may be folded (RFC 2046, 5.1.1; RFC 5322, 2.2.3). Lines end as the first boundary's
    does: with CRLF, or as scripts write them, with LF alone.

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
            raise _broken("has no boundary parameter")
        self._sink, self._most_parts = sink, most_parts
        self._begun = 0
        self._boundary = b"--" + boundary
        self._line_end = b"\n"
        # As if the body followed a line.
        self._data = self._line_end
        self._at = self._skip = 0
        self._step: Callable[[], bool] = self._in_preamble

    def feed(self, piece: bytes) -> None:
        """Take a further piece of the body.

        Raises
        ------
        InvalidRequest
            It is no multipart body, or has too many parts.
        """
        self._data = self._data[self._at :] + piece
        self._at = 0
        while self._step():
            pass

    def close(self) -> None:
        """Say that this was all.

        Raises
        ------
        InvalidRequest
            The last boundary is missing.
        """
        if self._step != self._in_epilogue:
            raise _broken("ends before its last boundary")

    # Each of these takes what it can and tells whether the next may go on.

    def _in_preamble(self) -> bool:
        return self._until_boundary(lambda end: None)

    def _in_header(self) -> bool:
        line_end = self._line_end
        if self._data.startswith(line_end, self._at):
            end = self._at
        else:
            end = self._data.find(line_end * 2, self._at)
            if end < 0 and len(self._data) - self._at <= MAX_PART_HEADER_BYTES:
                return False
        if end < 0 or end - self._at > MAX_PART_HEADER_BYTES:
            raise _broken("has a part whose header is too long")
        if self._begun == self._most_parts:
            raise InvalidRequest("too-many-parts", f"More than {self._most_parts} parts.")
        self._begun += 1
        self._sink.begin(self._fields(self._data[self._at : end]))
        # The line's end before a content may be that before a boundary, where there is none.
        self._at = end if end == self._at else end + len(line_end)
        self._skip = len(line_end)
        self._step = self._in_content
        return True

    def _in_content(self) -> bool:
        return self._until_boundary(self._write)

    def _in_epilogue(self) -> bool:
        self._at = len(self._data)
        return False

    def _until_boundary(self, take: Callable[[int], None]) -> bool:
        """Hand on what lies before the next boundary, or all that cannot belong to one."""
        data, delimiter = self._data, self._line_end + self._boundary
        found = data.find(delimiter, self._at)
        while found >= 0:
            after = found + len(delimiter)
            line = AFTER_BOUNDARY.match(data, after) or PERHAPS_AFTER.fullmatch(data, after)
            if line is not None and line.end() - after > MAX_PADDING:
                raise _broken("has a boundary that does not end")
            if line is not None and line.re is AFTER_BOUNDARY:
                take(found)
                self._pass_boundary(line)
                return True
            if line is not None:
                break
            # A longer boundary, of a multipart body within.
            found = data.find(delimiter, found + 1)
        if found < 0:
            found = data.rfind(self._line_end[:1], max(self._at, len(data) - len(delimiter) + 1))
            if found < 0 or not delimiter.startswith(data[found:]):
                found = len(data)
        take(found)
        self._at = max(self._at, found)
        return False

    def _pass_boundary(self, line: "re.Match[bytes]") -> None:
        if self._step == self._in_content:
            self._sink.end()
        elif line["end"]:
            self._line_end = line["end"]
        self._at = line.end()
        self._step = self._in_epilogue if line["last"] else self._in_header

    def _write(self, end: int) -> None:
        if end == self._at:
            return
        start, self._skip = self._at + self._skip, 0
        if end > start:
            self._sink.write(memoryview(self._data)[start:end])

    def _fields(self, header: bytes) -> dict[str, str]:
        # RFC 5322, 2.2.3: to unfold is to remove a line's end before a blank.
        unfolded = re.sub(re.escape(self._line_end) + rb"(?=[ \t])", b"", header)
        lines = unfolded.split(self._line_end) if unfolded else []
        if len(lines) > MAX_PART_FIELDS:
            raise _broken("has a part with too many headers")
        fields = {}
        for line in lines:
            field = FIELD.fullmatch(line)
            if field is None:
                raise _broken("has a part whose header cannot be parsed")
            fields[field["name"].decode("ascii").lower()] = (
                field["value"].rstrip(b" \t").decode("latin-1")
            )
        return fields


def _broken(how: str) -> InvalidRequest:
    return InvalidRequest("multipart-broken", f"The multipart body {how}.")
