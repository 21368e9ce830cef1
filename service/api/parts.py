"""The parts of a multipart body, kept where they are received."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise

from service.api.body_buffer import BodyBuffer
from service.api.numbers import MAX_TEXT
from service.dicomweb.multipart import media_type_and_boundary
from service.imaging.reader import sniff

MAX_FIELD_BYTES = MAX_TEXT + 1
"""Bytes kept of a form's field: no valid value is as long, so a value that was cut is refused."""

FIELD_NAME = re.compile(r";\s*(?i:name)\s*=\s*\"?(?P<name>[a-z_]{1,64})\"?\s*(?:;|$)")
FILE_NAME = re.compile(r";\s*filename\*?\s*=", re.IGNORECASE)


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
        disposition = self.headers.get("content-disposition", "")
        if FILE_NAME.search(disposition) or self.media_type not in {"", "text/plain"}:
            return True
        return sniff(self.content) is not None

    @property
    def field(self) -> tuple[str, str] | None:
        """Name of a text field and the beginning of its value; None for any other part."""
        named = FIELD_NAME.search(self.headers.get("content-disposition", ""))
        if self.is_file or named is None:
            return None
        return named["name"], bytes(self.content[:MAX_FIELD_BYTES]).decode("utf-8", "replace")


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
