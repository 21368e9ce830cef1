"""What happened in a soak, counted by many threads, and what should not have."""

import threading
from collections import Counter

MAX_TOLD = 40
"""Faults that are told in full; more are counted."""


class Ledger:
    """Counts of one service's soak; each thread writes into it.

    Attributes
    ----------
    counts
        How often what happened.
    faults
        What should not have happened, with the first of each kind in full.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.counts: Counter[str] = Counter()
        self.faults: list[str] = []
        self._fault_count = 0

    def count(self, what: str, by: int = 1) -> None:
        """Count something."""
        with self._lock:
            self.counts[what] += by

    def fault(self, text: str) -> None:
        """Keep a fault."""
        with self._lock:
            self._fault_count += 1
            if len(self.faults) < MAX_TOLD:
                self.faults.append(text)

    @property
    def fault_count(self) -> int:
        """How many faults there were."""
        return self._fault_count
