"""The owner's side: tiles of the ingest processes -> runs of the net."""

import mmap
import os
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import structlog

from service.errors import MammosegError, Overloaded
from service.imaging.tiles import Tile
from service.inference.net import Net
from service.ingest.wire import (
    Answered,
    Ask,
    Channel,
    Counts,
    Leave,
    Refused,
    Run,
    size_of,
    tiles_in,
)
from service.patience import Patience

log = structlog.get_logger("mammoseg")


class Owner:
    """Runs what ingest processes ask for; `serve` is called once a process, each by a thread.

    Parameters
    ----------
    net
        Where tiles are run; it is the owner's from now on.
    most
        Runs at once: as many as mammograms are held.
    """

    def __init__(self, net: Net, most: int) -> None:
        self.net = net
        self._runners = ThreadPoolExecutor(most, thread_name_prefix="run")

    def serve(self, channel: Channel) -> None:
        """Do what one process asks for until it is gone; what it waited for is dropped then.

        Raises
        ------
        Exception
            Of whatever kind, when what it says cannot be read.
        """
        patiences: dict[int, Patience] = {}
        try:
            while True:
                self._obey(channel, channel.receive(), patiences)
        except (EOFError, OSError):
            return
        finally:
            for patience in list(patiences.values()):
                patience.leave()

    def close(self) -> None:
        """Answer what waits, then stop."""
        self._runners.shutdown(wait=True)
        self.net.close()

    def _obey(
        self, channel: Channel, message: Run | Leave | Ask, patiences: dict[int, Patience]
    ) -> None:
        match message:
            case Run(number):
                file = channel.receive_file()
                # Deadlines are kept where the caller is.
                patience = patiences[number] = Patience()
                done = self._runners.submit(self._run, channel, message, file, patience)
                done.add_done_callback(lambda _: patiences.pop(number))
            case Leave(number):
                if (left := patiences.get(number)) is not None:
                    left.leave()
            case Ask(number):
                channel.send(Counts(number, self.net.waiting, self.net.net_seconds))
            case _:
                raise ValueError("no message that an ingest process sends")

    def _run(self, channel: Channel, order: Run, file: int, patience: Patience) -> None:
        try:
            reply: Answered | Refused = self._answer(order, file, patience)
        except MammosegError as error:
            reply = Refused(order.number, error)
        except Exception as error:
            log.error("run-failed", error=type(error).__name__)
            reply = Refused(order.number, None)
        try:
            channel.send(reply)
        except OSError:
            # It is gone, and whoever waited there as well.
            return

    def _answer(self, order: Run, file: int, patience: Patience) -> Answered:
        try:
            memory = mmap.mmap(file, size_of(order.shapes))
        except (OSError, ValueError):
            raise Overloaded("busy", "There is no memory for the tiles now.") from None
        finally:
            os.close(file)
        tiles = tiles_in(memory, order.shapes)
        patience.check()
        answers = self.net.run([Tile(0, 0, pixels) for pixels in tiles], patience)
        for pixels, answer in zip(tiles, answers, strict=True):
            np.copyto(pixels, answer.probability)
        return Answered(order.number, tuple(answer.has_mask_logit for answer in answers))
