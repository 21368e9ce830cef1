"""When a loop looks for work: when woken, else after a while, and no more once stopped."""

import asyncio
import contextlib

POLL_S = 1.0
"""Other processes, the command line's and the DIMSE door's, write to the database unannounced."""


class Poller:
    """When one loop looks for work."""

    def __init__(self) -> None:
        self._woken = asyncio.Event()
        self._stopped = asyncio.Event()

    @property
    def stopped(self) -> bool:
        """Whether no further round is to begin."""
        return self._stopped.is_set()

    def wake(self) -> None:
        """Start the next round now."""
        self._woken.set()

    def stop(self) -> None:
        """Let the loop end."""
        self._stopped.set()
        self._woken.set()

    async def wait(self) -> None:
        """Wait for the next round."""
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._woken.wait(), POLL_S)
        self._woken.clear()

    async def until_stopped(self) -> None:
        """Wait for the end."""
        await self._stopped.wait()

    async def pause(self, seconds: float) -> None:
        """Wait so long even if the loop is woken, but not if it is stopped."""
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._stopped.wait(), seconds)
