"""How the memory of the whole process tree is shared out, from one setting.

What is held strictly: each reader's address space (RLIMIT_AS, by the kernel), with the memory that
it shares with the service in it, and the bytes of the bodies that are held. What is held by
estimate: the pixels that are worked on, `BYTES_PER_PIXEL` each, and what the service and its
readers take at rest, measured with the bundled model on a CPU. A larger model, and on a GPU the
driver, CUDA's libraries and page-locked memory for the largest batch (46 MiB at 864 x 864, half
that for 16-bit levels) come on top. What is kept of the memory of bodies and pixels for the next
ones is within their share.
"""

from dataclasses import dataclass
from typing import Self

SERVICE_MIB, RUNNER_MIB, READER_MIB = 272, 68, 88
"""Resident at rest: the service, each runner's tile in it, and each reader."""

MODEL_MIB = 150
"""Resident, of each model but the first, beside its runners' tiles: three more took 216 MiB each
with one runner, 220 with two."""

OPENING_MIB, OPENING_COPIES = 16, 4
"""Of opening a file beside one that works, with so many times its size; what its runs take, a
runner of the other leaves it."""

SHADOW_PIXELS_MIB = 256
"""Of the one image that the shadow model works on; beside those of the requests, since none of
these may wait for it."""

MIN_READER_MIB = 192
"""What a reader may take beyond that: enough for a full-size mammogram in any transfer syntax, of
which JPEG 2000 takes most, 8 bytes a pixel beside the file."""
MAX_READER_MIB = 768

MIN_PIXELS_MIB = 128
BYTES_PER_PIXEL = 12
"""Of an image from decoding to encoding: two of the image, one of the mask, the rest while regions
are found; twelve where they fill the frame."""


def opening_mib(file_bytes: int) -> int:
    """Return what opening a model's file takes while another works, MiB."""
    return OPENING_MIB + (OPENING_COPIES * file_bytes >> 20)


@dataclass(frozen=True, slots=True)
class MemoryPlan:
    """Who may take what, in MiB.

    Attributes
    ----------
    readers
        Number of reader processes.
    reader_mib
        What each may take beyond what it has at rest.
    bodies_mib
        All bodies together.
    pixels_mib
        All images that are worked on.
    """

    readers: int
    reader_mib: int
    bodies_mib: int
    pixels_mib: int

    @property
    def kept_pixels_mib(self) -> int:
        """Memory for pixels themselves, which is kept to be used again."""
        return 2 * self.pixels_mib // BYTES_PER_PIXEL

    @classmethod
    def of(
        cls,
        memory_mib: int,
        *,
        runners: int,
        cores: int,
        max_body_mib: int,
        readers: int | None = None,
        reader_mib: int | None = None,
        models: int = 1,
        shadow: bool = False,
    ) -> Self:
        """Share out `memory_mib`: half of what is not spoken for goes to the readers.

        Parameters
        ----------
        memory_mib
            All there is, MiB.
        runners
            Tiles run at once.
        cores
            As many readers there are at most, unless `readers` says how many.
        max_body_mib
            Largest body.
        reader_mib
            What each reader may take.
        models
            That answer.
        shadow
            Whether there is one more, which runs one tile at a time.

        Raises
        ------
        ValueError
            It does not suffice; the message says for what, and how much would.
        """
        rest = (
            SERVICE_MIB + runners * RUNNER_MIB + (models - 1) * (MODEL_MIB + runners * RUNNER_MIB)
        )
        if shadow:
            rest += MODEL_MIB + RUNNER_MIB + SHADOW_PIXELS_MIB
        free_mib = memory_mib - rest
        share = (free_mib - max_body_mib - MIN_PIXELS_MIB) // 2
        if readers is None:
            wanted = READER_MIB + (reader_mib or MIN_READER_MIB)
            readers = max(1, min(cores, share // wanted))
        if reader_mib is None:
            reader_mib = max(MIN_READER_MIB, min(share // readers - READER_MIB, MAX_READER_MIB))
        taken = readers * (READER_MIB + reader_mib)
        least = taken + max_body_mib + MIN_PIXELS_MIB
        if free_mib < least:
            raise ValueError(
                f"MEMORY_MIB={memory_mib} cannot hold the service with RUNNERS={runners}, "
                f"{_said_of(models, shadow)}"
                f"{readers} readers of {reader_mib} MiB, and a body of "
                f"MAX_BODY_MIB={max_body_mib}: set it to {rest + least} at least, or "
                "lower one of those"
            )
        bodies_mib = max(max_body_mib, (free_mib - taken) // 3)
        return cls(readers, reader_mib, bodies_mib, free_mib - taken - bodies_mib)


def _said_of(models: int, shadow: bool) -> str:
    """Return how many models there are, where there is not just one."""
    several = f"{models} models, " if models > 1 else ""
    return several + ("a shadow model, " if shadow else "")
