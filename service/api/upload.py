"""The request's body -> one file, or several, and what kind each says it is."""

import asyncio
import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from starlette.requests import Request

from service.api.body import receive_body, receive_pieces
from service.api.intake import Place
from service.api.multipart import MultipartReader, media_type_and_boundary
from service.errors import InvalidRequest, UnreadableImage, UnsupportedMedia
from service.imaging.reader import ImageKind, sniff

KINDS: dict[str, ImageKind] = {
    "application/dicom": "dicom",
    "image/png": "png",
    "image/jpeg": "jpeg",
    "image/tiff": "tiff",
}
UNDECLARED = {"", "application/octet-stream", "application/x-www-form-urlencoded"}
"""No type, the generic one, and what curl --data-binary sends: recognised by content."""

MAX_PARTS = 32
MAX_FIELD_BYTES = 64
"""Of a form's field; what may be chosen there is shorter, so that a cut value is refused."""

FIELD_NAME = re.compile(r";\s*name=\"?(?P<name>[a-z_]{1,64})\"?(?:;|$)")
FILE_NAME = re.compile(r";\s*filename\*?=", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Upload:
    """One file; `kind` is None when its type was not declared.

    `fields` holds the beginnings of the text fields of the form that it came in, by name.
    """

    body: bytes
    kind: ImageKind | None
    fields: Mapping[str, str] = field(default_factory=dict)


@dataclass(slots=True)
class _Part:
    headers: Mapping[str, str]
    pieces: list[bytes] = field(default_factory=list)

    @property
    def content(self) -> bytes:
        return b"".join(self.pieces)

    @property
    def media_type(self) -> str:
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
        if named is None:
            return None
        value = b"".join(piece[:MAX_FIELD_BYTES] for piece in self.pieces)[:MAX_FIELD_BYTES]
        return named["name"], value.decode("utf-8", "replace")

    def as_upload(self, fields: Mapping[str, str]) -> Upload:
        """Give the file, and let go of its pieces."""
        body = self.content
        self.pieces.clear()
        return Upload(body, KINDS.get(self.media_type), fields)


@dataclass(slots=True)
class _Parts:
    """Keeps the parts in memory."""

    parts: list[_Part] = field(default_factory=list)

    def begin(self, headers: Mapping[str, str]) -> None:
        self.parts.append(_Part(headers))

    def write(self, data: bytes) -> None:
        self.parts[-1].pieces.append(data)

    def end(self) -> None:
        pass

    @property
    def fields(self) -> dict[str, str]:
        """The beginnings of the text fields, by name."""
        texts = (part.field for part in self.parts if not part.is_file)
        return dict(text for text in texts if text is not None)


async def receive_upload(
    request: Request, place: Place, *, max_bytes: int, timeout_s: float
) -> Upload:
    """Receive the body and find the one file in it; parameters as of `receive_body`.

    Raises
    ------
    TooLarge
        The body is over `max_bytes`.
    UnsupportedMedia
        A media type or content coding that is not read.
    InvalidRequest
        The body did not arrive in time, or its multipart form is broken or holds not one file.
    Overloaded
        There is no room for it.
    """
    media_type, boundary = media_type_and_boundary(request.headers.get("content-type", ""))
    if not (media_type in KINDS or media_type in UNDECLARED or media_type.startswith("multipart/")):
        raise UnsupportedMedia(
            "media-type", "Send application/dicom, image/png, image/jpeg, image/tiff or multipart."
        )
    body = await receive_body(request, place, max_bytes=max_bytes, timeout_s=timeout_s)
    if not body:
        raise UnreadableImage("empty-body", "The body is empty.")
    if media_type.startswith("multipart/"):
        return await asyncio.to_thread(_from_multipart, body, boundary)
    return Upload(body, KINDS.get(media_type))


async def receive_uploads(
    request: Request, place: Place, *, most: int, max_bytes: int, timeout_s: float
) -> list[Upload]:
    """Receive a multipart body of several files, each with the form's fields.

    The body is taken apart as it arrives, so that it is held once. Parameters as of
    `receive_body`; `most` bounds the number of files. Raises what `receive_upload` raises, but not
    for what a single file is: one that cannot be read must not spoil the others.
    """
    media_type, boundary = media_type_and_boundary(request.headers.get("content-type", ""))
    if not media_type.startswith("multipart/"):
        raise UnsupportedMedia(
            "media-type", "Send the files as multipart/form-data or multipart/related."
        )
    sink = _Parts()
    reader = MultipartReader(boundary, sink, most_parts=most + MAX_PARTS)
    await receive_pieces(request, place, reader.feed, max_bytes=max_bytes, timeout_s=timeout_s)
    reader.close()
    files = [part for part in sink.parts if part.is_file]
    if not 0 < len(files) <= most:
        raise InvalidRequest("files", f"Send from 1 to {most} files in the multipart body.")
    fields = sink.fields
    return [file.as_upload(fields) for file in files]


def _from_multipart(body: bytes, boundary: bytes) -> Upload:
    sink = _Parts()
    reader = MultipartReader(boundary, sink, most_parts=MAX_PARTS)
    reader.feed(body)
    reader.close()
    files = [part for part in sink.parts if part.is_file]
    if len(files) != 1:
        raise InvalidRequest("one-file", "Send exactly one file in the multipart body.")
    (file,) = files
    if not file.pieces:
        raise UnreadableImage("empty-body", "The file in the body is empty.")
    if file.media_type not in KINDS and file.media_type not in UNDECLARED | {"text/plain"}:
        raise UnsupportedMedia("media-type", "The part is no application/dicom, PNG, JPEG or TIFF.")
    return file.as_upload(sink.fields)
