"""The parts of a multipart body, kept where they are received."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise

from service.api.body_buffer import BodyBuffer
from service.api.numbers import MAX_TEXT
from service.api.options import FIELDS
from service.dicomweb.multipart import media_type_and_boundary
from service.imaging.reader import sniff

MAX_FIELD_BYTES = MAX_TEXT + 1
"""Bytes kept of a form's field: no valid value is as long, so a value that was cut is refused."""

FIELD_NAME = re.compile(
    r";\s*name\s*=\s*(?:\"(?P<quoted>[^\"]{1,64})\"|(?P<bare>[^\s;\"]{1,64}))\s*(?:;|$)",
    re.IGNORECASE,
)
FILE_NAME = re.compile(r";\s*filename\*?\s*=\s*(?P<empty>(?:\"\"\s*)?(?:;|$))?", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Part:
    """One part; its headers by lower-case name."""

    headers: Mapping[str, str]
    content: memoryview

    @property
    def media_type(self) -> str:
        """Lower-case, empty if not stated."""
        return media_type_and_boundary(self.headers.get("content-type", ""))[0]

    @property
    def is_file(self) -> bool:
        """Named, typed, or an image by its content: forms are written in many ways."""
        if self._is_unused_input:
            return False
        if FILE_NAME.search(self._disposition):
            return True
        # Generated clients send a number as application/json.
        is_typed = self.media_type not in {"", "text/plain"} and self._name not in FIELDS
        return is_typed or sniff(self.content) is not None

    @property
    def _is_unused_input(self) -> bool:
        """Whether a form had an input of files here in which none was chosen.

        It is sent as a file of no type without name and content (HTML, "constructing the entry
        list"); fetch() of Node.js leaves the empty name out.
        """
        file_name = FILE_NAME.search(self._disposition)
        is_named = file_name is not None and file_name["empty"] is None
        is_empty = not len(self.content) and self.media_type in {"", "application/octet-stream"}
        return is_empty and not is_named and self._name is not None

    @property
    def field(self) -> tuple[str, str] | None:
        """Name of a text field and the beginning of its value; None for any other part."""
        if self._name is None or self.is_file or FILE_NAME.search(self._disposition):
            return None
        return self._name, bytes(self.content[:MAX_FIELD_BYTES]).decode("utf-8", "replace")

    @property
    def _disposition(self) -> str:
        return self.headers.get("content-disposition", "")

    @property
    def _name(self) -> str | None:
        named = FIELD_NAME.search(self._disposition)
        return None if named is None else named["quoted"] or named["bare"]


class Parts:
    """Takes the parts, as a `PartSink`, and writes their contents into a buffer."""

    def __init__(self, body_buffer: BodyBuffer) -> None:
        self._body_buffer = body_buffer
        self._begun: list[tuple[Mapping[str, str], int]] = []

    def begin(self, headers: Mapping[str, str]) -> None:
        """Start a part."""
        self._begun.append((headers, self._body_buffer.length))

    def write(self, data: memoryview) -> None:
        """Take further bytes of its content."""
        self._body_buffer.write(data)

    def end(self) -> None:
        """Nothing to do: it ends where the next begins."""

    def received(self) -> list[Part]:
        """Return them all."""
        contents = self._body_buffer.contents()
        bounds = pairwise([*(start for _, start in self._begun), len(contents)])
        return [
            Part(headers, contents[start:end])
            for (headers, _), (start, end) in zip(self._begun, bounds, strict=True)
        ]
