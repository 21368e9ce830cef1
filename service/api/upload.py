"""The request's body -> one file, or several, and what kind each says it is."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from starlette.requests import Request

from service.api.body import SenderBounds, body_buffer_for, receive_body
from service.api.media_types import KINDS, UNDECLARED
from service.api.options import FIELDS, repeated
from service.api.parts import Part, Parts
from service.capacity.slot import Slot
from service.dicomweb.multipart import MultipartReader, media_type_and_boundary
from service.errors import InvalidRequest, UnreadableImage, UnsupportedMedia
from service.imaging.reader import ImageKind

MAX_PARTS = 32


@dataclass(frozen=True, slots=True)
class Upload:
    """One file; `kind` is None when its type was not declared.

    `body` is lent: its memory is used again once nobody refers to it. `fields` holds the beginnings
    of the text fields of the form that it came in, by name.
    """

    body: bytes | memoryview
    kind: ImageKind | None
    fields: Mapping[str, str] = field(default_factory=dict)


async def receive_upload(
    request: Request, slot: Slot, *, max_bytes: int, bounds: SenderBounds
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
        There is no memory for it.
    """
    media_type, _ = media_type_and_boundary(request.headers.get("content-type", ""))
    if media_type.startswith("multipart/"):
        parts = await _receive_parts(
            request, slot, most=MAX_PARTS, max_bytes=max_bytes, bounds=bounds
        )
        return _only_file(parts)
    if not (media_type in KINDS or media_type in UNDECLARED):
        raise UnsupportedMedia(
            "media-type", "Send application/dicom, image/png, image/jpeg, image/tiff or multipart."
        )
    body_buffer = body_buffer_for(request, slot, max_bytes)
    await receive_body(request, slot, body_buffer.write, max_bytes=max_bytes, bounds=bounds)
    if not body_buffer.length:
        raise UnreadableImage("empty-body", "The body is empty.")
    return Upload(body_buffer.contents(), KINDS.get(media_type))


async def receive_uploads(
    request: Request, slot: Slot, *, most: int, max_bytes: int, bounds: SenderBounds
) -> list[Upload]:
    """Receive a multipart body of several files, each with the form's fields.

    Parameters as of `receive_body`; `most` bounds the number of files. Raises what
    `receive_upload` raises, except for the type of a single file: one that cannot be read must not
    spoil the others.
    """
    media_type, _ = media_type_and_boundary(request.headers.get("content-type", ""))
    if not media_type.startswith("multipart/"):
        raise UnsupportedMedia(
            "media-type", "Send the files as multipart/form-data or multipart/related."
        )
    parts = await _receive_parts(
        request, slot, most=most + MAX_PARTS, max_bytes=max_bytes, bounds=bounds
    )
    files = [part for part in parts if part.is_file]
    if not 0 < len(files) <= most:
        raise InvalidRequest("files", f"Send from 1 to {most} files in the multipart body.")
    return _as_uploads(files, parts)


async def _receive_parts(
    request: Request, slot: Slot, *, most: int, max_bytes: int, bounds: SenderBounds
) -> list[Part]:
    """Receive a multipart body, taken apart as it arrives, so that it is held once."""
    _, boundary = media_type_and_boundary(request.headers.get("content-type", ""))
    parts = Parts(body_buffer_for(request, slot, max_bytes))
    reader = MultipartReader(boundary, parts, most_parts=most)
    await receive_body(request, slot, reader.feed, max_bytes=max_bytes, bounds=bounds)
    reader.close()
    return parts.received()


def _only_file(parts: list[Part]) -> Upload:
    files = [part for part in parts if part.is_file]
    if len(files) != 1:
        raise InvalidRequest("one-file", "Send exactly one file in the multipart body.")
    (file,) = files
    if not file.content:
        raise UnreadableImage("empty-body", "The file in the body is empty.")
    if file.media_type not in KINDS and file.media_type not in UNDECLARED | {"text/plain"}:
        raise UnsupportedMedia("media-type", "The part is no application/dicom, PNG, JPEG or TIFF.")
    (upload,) = _as_uploads(files, parts)
    return upload


def _as_uploads(files: list[Part], parts: list[Part]) -> list[Upload]:
    fields: dict[str, str] = {}
    for part in parts:
        if (field := part.field) is not None:
            name, text = field
            if name in fields and name in FIELDS:
                # They hold for all files of the form; one for each is not taken.
                raise repeated(name)
            fields[name] = text
    return [Upload(file.content, KINDS.get(file.media_type), fields) for file in files]
