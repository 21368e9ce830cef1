"""What is fuzzed: bytes in, nothing out; whatever is raised here is a finding."""

import asyncio
import functools
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from random import Random

import numpy as np
from starlette.requests import Request
from starlette.types import Message

from service.api.body import SenderBounds
from service.api.parts import MAX_FIELD_BYTES
from service.api.upload import MAX_PARTS, receive_upload
from service.buffer_pool import BufferPool
from service.capacity.budget import BodyBudget
from service.capacity.plan import MIN_READER_MIB
from service.capacity.slot import Slot
from service.errors import MammosegError
from service.imaging import elements
from service.imaging.dicom import parse
from service.imaging.frames import MAX_FRAMES, as_of_frame
from service.imaging.mammogram import Mammogram
from service.imaging.reader import ReadLimits, read_dicom, read_raster
from service.imaging.reduced_decoding import ReducedDecoding
from service.outputs.dicom.grayscale import read_grayscale
from service.outputs.dicom.reference import read_source
from tests.corpus.write import corpus
from tests.fuzz.bodies import as_sent, change_request, requests
from tests.fuzz.codestreams import change_picture
from tests.fuzz.datasets import change_dicom

SIDE = 40
"""Of the seeds' image, pixels: small inputs are tried faster."""

MAX_INPUT_BYTES = 2**18
"""Bytes of an input."""

LIMITS = ReadLimits(
    max_pixels=1_000_000, max_inflated_bytes=2**24, memory_bytes=MIN_READER_MIB << 20
)
MAX_BODY = 2**20

HALF = ReducedDecoding(1.0, pixel_spacing_mm=(0.1, 0.1))
"""For which half the resolution will always do."""


@dataclass(frozen=True)
class Target:
    """One thing to fuzz.

    Attributes
    ----------
    run
        Takes an input, and raises nothing.
    seeds
        Gives inputs to start from.
    change
        Changes an input and keeps most of its structure.
    bound
        Memory that one input may take, bytes.
    """

    run: Callable[[bytes], None]
    seeds: Callable[[], Iterator[bytes]]
    change: Callable[[bytes, Random], bytes]
    bound: int


def run_dicom(data: bytes, *, sandboxed: bool = False) -> None:
    """Admit and decode; two odd bytes of the preamble ask for the first frame, and for half."""
    frame = 1 if data[:1] and data[0] % 2 else None
    reduction = HALF if data[1:2] and data[1] % 2 else None
    _read(lambda: read_dicom(data, LIMITS, frame, reduction=reduction, sandboxed=sandboxed))


def run_source(data: bytes) -> None:
    """Read what DICOM results say of their source, which no sandboxed process does."""
    try:
        header = parse(data, LIMITS.max_inflated_bytes).dataset
        read_source(as_of_frame(header, 1) if data[:1] and data[0] % 2 else header)
        read_grayscale(header)
    except Exception as error:
        # `registry.dicom_files` contains the rest; hangs and memory are what is looked for.
        assert not isinstance(error, MammosegError) or 400 <= error.status < 500


def run_raster(data: bytes) -> None:
    """Decode a PNG, JPEG or TIFF; an odd length asks for the first page."""
    _read(lambda: read_raster(data, LIMITS, 1 if len(data) % 2 else None))


def _read(read: Callable[[], Mammogram]) -> None:
    try:
        image = read()
    except MammosegError as refusal:
        assert 400 <= refusal.status < 500, refusal
        return
    assert image.pixels.dtype == np.uint16 and image.pixels.flags.c_contiguous
    assert image.pixels.ndim == 2 and 0 < image.pixels.size <= LIMITS.max_pixels
    spacing = image.pixel_spacing_mm or (1.0, 1.0)
    assert all(0.003 < mm <= 2.0 for mm in spacing), spacing
    assert 0.2 <= image.pixel_aspect <= 5.0, image.pixel_aspect
    assert image.frame is None or image.frame <= MAX_FRAMES
    uid = image.sop_instance_uid
    assert uid is None or elements.is_uid(uid)
    for word in (image.laterality, image.view_position, image.intent):
        assert word is None or (word.isalpha() and len(word) <= 12), word


def run_body(data: bytes) -> None:
    """Receive a request: content coding, then multipart, then which part is the file."""
    asyncio.run(_receive(data))


async def _receive(data: bytes) -> None:
    sent = as_sent(data)
    pieces = [sent.body[at : at + 2**14] for at in range(0, len(sent.body), 2**14)]
    messages = iter(pieces)

    async def receive() -> Message:
        piece = next(messages, None)
        return {"type": "http.request", "body": piece or b"", "more_body": piece is not None}

    headers = [(b"content-type", sent.content_type), (b"content-encoding", sent.coding)]
    request = Request({"type": "http", "method": "POST", "headers": headers}, receive)
    slot = Slot(BodyBudget(4 * MAX_BODY), BufferPool(0), timeout_s=1)
    try:
        upload = await receive_upload(request, slot, max_bytes=MAX_BODY, bounds=SenderBounds(60, 0))
    except MammosegError as refusal:
        assert 400 <= refusal.status < 500, refusal
        return
    assert 0 < len(upload.body) <= MAX_BODY
    assert sum(map(len, upload.fields.values())) <= MAX_PARTS * (MAX_FIELD_BYTES + 1)


@functools.cache
def _bodies() -> tuple[bytes, ...]:
    return tuple(
        variant.body for variant in corpus(SIDE).values() if len(variant.body) <= MAX_INPUT_BYTES
    )


def _seeds(dicom: bool) -> Iterator[bytes]:
    """Yield the corpus; every second file is asked for its first frame, two of four for half."""
    for number, body in enumerate(_bodies()):
        if (body[128:132] == b"DICM") is dicom:
            yield bytes([number % 2, number // 2 % 2]) + body[2:] if dicom else body


def _requests() -> Iterator[bytes]:
    picture = next(body for body in _bodies() if body.startswith(b"\x89PNG"))
    yield from requests(picture)


TARGETS = {
    "dicom": Target(run_dicom, lambda: _seeds(True), change_dicom, bound=MIN_READER_MIB << 20),
    "sandboxed": Target(
        functools.partial(run_dicom, sandboxed=True),
        lambda: _seeds(True),
        change_dicom,
        bound=MIN_READER_MIB << 20,
    ),
    "source": Target(run_source, lambda: _seeds(True), change_dicom, bound=MIN_READER_MIB << 20),
    "raster": Target(run_raster, lambda: _seeds(False), change_picture, bound=MIN_READER_MIB << 20),
    "body": Target(run_body, _requests, change_request, bound=12 * MAX_BODY),
}
