"""What reads files, however it is done."""

import os
from dataclasses import dataclass, field
from typing import Protocol

from service.buffer_pool import BufferPool
from service.cancellation import CancelToken
from service.imaging.limits import ReadLimits
from service.imaging.mammogram import Mammogram
from service.imaging.reader import ImageKind, read_image
from service.imaging.reduced_decoding import ReducedDecoding
from service.imaging.source_header import Head, look
from service.reading.shared_buffer import map_file


@dataclass(frozen=True, slots=True)
class ReadRequest:
    """What is to be read.

    Attributes
    ----------
    body
        The file.
    kind
        What it is declared to be; None where nobody says.
    frame
        Which frame of a multi-frame object, or page of a TIFF, from 1 on; None for an only one.
    reduction
        How fine the image must be; all there is when None.
    digest
        Whether the digest of its Pixel Data is wanted, which takes 11 to 40 ms of a core.
    """

    body: bytes | memoryview
    kind: ImageKind | None = None
    frame: int | None = None
    reduction: ReducedDecoding | None = None
    digest: bool = False


class Reader(Protocol):
    """Bytes -> Mammogram, however it is done."""

    @property
    def buffers(self) -> BufferPool:
        """Where memory for a body is best taken from: it is used again."""

    @property
    def waiting(self) -> int:
        """How many files wait to be read."""

    def read(self, request: ReadRequest, token: CancelToken | None = None) -> Mammogram:
        """Read one file; raises a `MammosegError` with a 4xx status for whatever is wrong."""

    def look(self, body: bytes | memoryview, token: CancelToken | None = None) -> Head:
        """Look at the header of a DICOM file; raises as `read`."""

    def look_at_file(self, file: int, size: int) -> Head:
        """Look at the header of a DICOM file on the disk, by its descriptor; raises as `read`."""

    def sandbox(self) -> dict[str, dict[str, str]]:
        """Return what keeps code that runs in a reader from the service, part by part."""

    def close(self) -> None:
        """Let go of what reading needs."""


@dataclass(frozen=True, slots=True)
class InProcess:
    """Reads right here, by careful decoders alone: for evaluation, where files are one's own."""

    limits: ReadLimits
    buffers: BufferPool = field(default_factory=lambda: BufferPool(0))

    @property
    def waiting(self) -> int:
        """None: each caller reads by itself."""
        return 0

    def read(self, request: ReadRequest, token: CancelToken | None = None) -> Mammogram:
        """Read one file."""
        return read_image(
            request.body,
            request.kind,
            self.limits,
            request.frame,
            reduction=request.reduction,
            digest=request.digest,
        )

    def look(self, body: bytes | memoryview, token: CancelToken | None = None) -> Head:
        """Look at the header of a DICOM file."""
        return look(body)

    def look_at_file(self, file: int, size: int) -> Head:
        """Look at the header of a DICOM file on the disk."""
        return look(map_file(os.dup(file), size))

    def sandbox(self) -> dict[str, dict[str, str]]:
        """Return nothing: there is no wall."""
        return {}

    def close(self) -> None:
        """Nothing to let go of."""
