"""What a run of the benchmarks is given, and how much of everything it does."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from benchmarks.bodies import Body, body_of
from benchmarks.figures import median
from service.inference.contract import Contract
from service.inference.session import Session


@dataclass(frozen=True)
class Plan:
    """One run's.

    Attributes
    ----------
    model
        The ONNX file that all measure.
    quick
        A few minutes instead of half an hour; figures scatter more.
    say
        Shows what is being done.
    """

    model: Path
    quick: bool
    say: Callable[[str], None]

    @cached_property
    def contract(self) -> Contract:
        """Return the model's contract."""
        return Session.open(self.model).contract

    @property
    def rounds(self) -> int:
        """How often two things are measured in turns."""
        return 3 if self.quick else 7

    def count(self, number: int) -> int:
        """Return how many requests stand for so many in a long run."""
        return max(4, number // 4) if self.quick else number

    def body(self, tiles: int) -> Body:
        """Return a mammogram of so many tiles."""
        return body_of(tiles, self.contract)

    def in_turns(
        self, what: str, first: Callable[[], float], second: Callable[[], float]
    ) -> tuple[float, float]:
        """Measure two things A/B/A/B, so that what else the machine does weighs on both.

        Returns
        -------
        Median of the first, and median of the rounds' own ratios of first to second.
        """
        values, ratios = [], []
        for index in self._shown(what):
            # Who comes second finds warmer caches: they change places.
            if index % 2:
                other, value = second(), first()
            else:
                value, other = first(), second()
            values.append(value)
            ratios.append(value / other)
        return median(values), median(ratios)

    def _shown(self, what: str) -> Iterator[int]:
        for index in range(self.rounds):
            self.say(f"{what}, round {index + 1} of {self.rounds}")
            yield index
