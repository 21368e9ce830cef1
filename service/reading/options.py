"""What readers are given."""

from dataclasses import dataclass

from service.imaging.limits import ReadLimits

KEPT_BYTES = 64 * 2**20
"""Of memory for bodies, and for pixels, unless somebody says otherwise: a mammogram or two."""


@dataclass(frozen=True, slots=True)
class ReaderOptions:
    """How many readers there are, and what each may take.

    Attributes
    ----------
    count
        Processes; each reads one file at a time.
    limits
        What an image may cost.
    memory_mib
        Address space that a reader may take beyond what it has when it starts, in MiB.
    deadline_s
        Longest time for one file, in seconds.
    body_bytes, pixel_bytes
        Memory of the service for bodies, and for pixels, that is kept to be used again.
    """

    count: int
    limits: ReadLimits
    memory_mib: int
    deadline_s: float
    body_bytes: int = KEPT_BYTES
    pixel_bytes: int = KEPT_BYTES

    @property
    def shared_bytes(self) -> int:
        """Memory that a reader and the service share as long as it lives: a mammogram fits.

        A sixth of what a reader may take, at most 64 MiB.
        """
        return max(1, min(64, self.memory_mib // 6)) * 2**20
