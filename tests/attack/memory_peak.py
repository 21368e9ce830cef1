"""The largest resident memory of processes, alone and with their children."""

import threading
from typing import Self

import psutil

LOOK_S = 0.03


class MemoryPeak(threading.Thread):
    """Looks again and again while it is a context; memory that processes share counts in each.

    Attributes
    ----------
    own, tree
        Bytes of the largest process that was added, and of the largest with its children.
    """

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self.own = self.tree = 0
        self._roots: list[psutil.Process] = []
        self._ended = threading.Event()

    def begin(self) -> None:
        """Forget what was largest."""
        self.own = self.tree = 0

    def add(self, pid: int) -> None:
        """Look at that process, too."""
        self._roots.append(psutil.Process(pid))

    def run(self) -> None:
        """Look until the end."""
        while not self._ended.wait(LOOK_S):
            for root in tuple(self._roots):
                self._look(root)

    def _look(self, root: psutil.Process) -> None:
        try:
            own = total = root.memory_info().rss
            children = root.children(recursive=True)
        except psutil.Error:
            return
        for child in children:
            try:
                total += child.memory_info().rss
            except psutil.Error:
                continue
        self.own, self.tree = max(self.own, own), max(self.tree, total)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self.join()
