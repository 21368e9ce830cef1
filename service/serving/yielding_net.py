"""A net that runs only while nobody else wants the device: for work that must delay no answer."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from service.cancellation import CancelToken
from service.imaging.tiles import Tile
from service.inference.net import ModelInfo, Net, RunListener, TilePrediction

LOOK_S = 0.02
"""Between two looks whether it may go on."""


def wait_until(is_idle: Callable[[], bool], token: CancelToken) -> None:
    """Sleep until nobody else is at work.

    Raises
    ------
    DeadlineExceeded
        That took too long.
    """
    token.raise_if_cancelled()
    while not is_idle():
        time.sleep(LOOK_S)
        token.raise_if_cancelled()


@dataclass(frozen=True, slots=True)
class YieldingNet:
    """Runs one tile after another, each once nobody else is at work.

    Attributes
    ----------
    net
        Which does the work; not closed with it.
    is_idle
        Tells whether nobody else is.
    """

    net: Net
    is_idle: Callable[[], bool]

    @property
    def model_info(self) -> ModelInfo:
        """The model."""
        return self.net.model_info

    @property
    def waiting(self) -> int:
        """How many tiles wait to be run."""
        return self.net.waiting

    @property
    def net_seconds(self) -> float:
        """CPU time inside the net since the start, in seconds."""
        return self.net.net_seconds

    @property
    def failed(self) -> bool:
        """Whether the device failed for good."""
        return self.net.failed

    def listen(self, listener: RunListener) -> None:
        """Tell somebody of each run from now on."""
        self.net.listen(listener)

    def run(self, tiles: Sequence[Tile], token: CancelToken) -> list[TilePrediction]:
        """Run the tiles of one image; as `Net.run`."""
        answers: list[TilePrediction] = []
        for tile in tiles:
            wait_until(self.is_idle, token)
            answers += self.net.run([tile], token)
        return answers

    def close(self) -> None:
        """Do nothing: the net is somebody else's."""
