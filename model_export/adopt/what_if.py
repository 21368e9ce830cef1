"""A net whose answer is not right: which flag, said otherwise, would make it so?

Each single change of the flags that the files do not contradict is wrapped and shown the sample,
in memory; nothing is written.
"""

from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, field, replace

from model_export.adopt import symptoms
from model_export.adopt.answers import Settled
from model_export.adopt.errors import AdoptError
from model_export.adopt.foreign import Foreign, View
from model_export.adopt.other_flags import Change, changes
from model_export.adopt.proof import Agreement, Wanted, served_frame
from model_export.adopt.sample import Sample, breast_of
from model_export.adopt.trial import answer, check_bare
from service.cancellation import CancelToken
from service.errors import DeadlineExceeded, StartupError
from service.findings import Findings
from service.imaging.mammogram import Mammogram
from service.imaging.stitch import LesionMap

MAX_SECONDS = 300.0
"""That are spent on naming the flag."""

MAX_SECONDS_UNPROVEN = 60.0
"""The same where there is nothing to compare with, so that no flag can be named for sure."""

MAX_NEAREST = 2
MAX_PLAUSIBLE = 3

NEARER = 0.05
"""By which Dice, or the share of pixels, must rise before a change is worth a word."""

Progress = Callable[[str], None]
"""Told what is being tried."""


@dataclass(slots=True, eq=False)
class Trials:
    """Runs the sample under other flags.

    Attributes
    ----------
    foreign, settled, sample
        The net, what is known of it under the flags that were said, and what it is shown.
    progress
        Told of each trial.
    tried, count
        How many changes ran so far, and how many there are.
    """

    foreign: Foreign
    settled: Settled
    sample: Sample
    progress: Progress
    tried: int = field(default=0, init=False)
    count: int = field(default=0, init=False)

    def run(
        self, mammogram: Mammogram, follows: Collection[str], max_seconds: float
    ) -> Iterator[tuple[Change, Findings]]:
        """Yield changes with what would be served, until the time is over."""
        token = CancelToken(max_seconds)
        listed = changes(self.foreign.facts, self.settled, self.sample, follows)
        self.tried, self.count = 0, len(listed)
        for index, change in enumerate(listed, 1):
            self.progress(f"{index} of {len(listed)}: {change.said}")
            try:
                findings = answer(self.foreign, change.settled, mammogram, token)
            except DeadlineExceeded:
                return
            except (AdoptError, StartupError):
                # Not every net can be run otherwise.
                self.count -= 1
                continue
            self.tried += 1
            yield change, findings

    def is_accepted(self, change: Change) -> bool:
        """Say whether `adopt` would come as far as the proof under a change."""
        try:
            check_bare(self.foreign, change.settled, self.sample)
        except (AdoptError, StartupError):
            return False
        return True

    @property
    def extent(self) -> str:
        """How many were tried, in words."""
        return f"{self.tried} tried" + (
            "" if self.tried == self.count else f" of {self.count}, then the time was over"
        )


def mends(
    trials: Trials,
    wanted: Wanted,
    found: Agreement,
    lesion_map: LesionMap,
    follows: Collection[str] | None,
) -> list[str]:
    """Say what would make the served answer the wanted one.

    Parameters
    ----------
    trials
        Of the net.
    wanted
        The right answer.
    found
        How far what would be served agrees with it.
    lesion_map
        What would be served.
    follows
        Fields of `Flags` that the right answer follows, as a framework's own does; None where it
        is the caller's, which stays as it is.
    """
    nearest: list[tuple[Agreement, Change]] = []
    for change, findings in trials.run(wanted.mammogram, follows or (), MAX_SECONDS):
        other = wanted.held_against(findings.lesion_map)
        if other.proves and trials.is_accepted(change):
            return [f"{change.said}: then it is proven ({other})"]
        if _is_nearer(other, found):
            nearest.append((other, change))
    if follows is None:
        for how, turned in _mistaken(wanted):
            if turned.held_against(lesion_map).proves:
                return [f"{how}: then it is proven"]
    nearest.sort(key=lambda one: _rank(one[0]), reverse=True)
    if not nearest:
        return [
            f"no single flag mends it, and none comes nearer ({trials.extent}): several may be "
            "wrong, or the answer is of another view or net"
        ]
    return [
        f"no single flag mends it ({trials.extent}); the nearest:",
        *(f"{change.said}: {other}" for other, change in nearest[:MAX_NEAREST]),
    ]


def _mistaken(wanted: Wanted) -> Iterator[tuple[str, Wanted]]:
    """Yield what a caller's answer may have been meant to be."""
    values = wanted.values
    yield "mirror --expected left to right", replace(wanted, values=values[:, ::-1])
    yield "turn --expected upside down", replace(wanted, values=values[::-1])
    yield "turn --expected by 180 degrees", replace(wanted, values=values[::-1, ::-1])
    yield "invert --expected, which marks what is no lesion", replace(wanted, values=1 - values)


def _rank(agreement: Agreement) -> tuple[float, float]:
    return agreement.dice or 0.0, agreement.close or 0.0


def _is_nearer(other: Agreement, found: Agreement) -> bool:
    (dice, close), (dice_before, close_before) = _rank(other), _rank(found)
    return dice > dice_before + NEARER or (dice >= dice_before and close > close_before + NEARER)


def plausible(trials: Trials) -> list[str]:
    """Say which single changes give an answer that does not look odd, which proves nothing."""
    shown = trials.sample.mammogram
    breast = breast_of(View(shown.pixels, trials.sample.spacing_mm[0]))
    said: list[str] = []
    for change, findings in trials.run(shown, (), MAX_SECONDS_UNPROVEN):
        inside = served_frame(findings.lesion_map)[breast]
        if findings.regions and not symptoms.is_odd(inside) and trials.is_accepted(change):
            said.append(f"{change.said}: {symptoms.masked(inside):.1%} of the breast is masked")
        if len(said) == MAX_PLAUSIBLE:
            break
    return said
