"""What one request holds: memory for its body and, once that is whole, a mammogram's slot."""

from collections.abc import Callable

from service.buffer_pool import BufferPool
from service.capacity.budget import BodyBudget, Claim


class Slot:
    """The memory that a body takes and, once it is whole, one mammogram's slot.

    Parameters
    ----------
    budget
        Where memory is claimed.
    buffers
        Lend the memory for the body.
    timeout_s
        Longest wait for memory.
    take
        Called when a slot is taken.
    """

    def __init__(
        self,
        budget: BodyBudget,
        buffers: BufferPool,
        timeout_s: float,
        take: Callable[[], None] = lambda: None,
    ) -> None:
        self._budget, self._timeout_s, self._take = budget, timeout_s, take
        self.buffers = buffers
        self._claim = Claim()
        self.taken = False

    def expect(self, size: int | None) -> None:
        """Say how many bytes will come, if that is known."""
        self._claim.declared = size

    async def grow(self, size: int) -> None:
        """Wait for memory for so many bytes more; see `BodyBudget`."""
        await self._budget.grow(self._claim, size, self._timeout_s)

    async def claim(self, size: int) -> None:
        """Wait for memory for a body of so many bytes at once."""
        self.expect(size)
        await self.grow(size)

    def take(self) -> None:
        """Take the slot: the body is whole.

        Raises
        ------
        Overloaded
            All are taken.
        TooManyRequests
            The caller holds its share of them.
        """
        self._take()
        self.taken = True

    def release(self) -> None:
        """Let go of the memory."""
        self._budget.give_back(self._claim)
