"""What the files say and what the caller says -> everything that is to be known of a net."""

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

from model_export.adopt.errors import AdoptError, Unanswered
from model_export.adopt.flags import RANGES, Flags, name_of, range_of
from model_export.adopt.foreign import Activation, Facts, InputRange, Shape

FREE_TILE = (512, 512)
"""Of a net that takes any size: the largest run at once, unless `--tile` says otherwise."""

LESION = "lesion"
"""What a class is called of which nothing else is known."""

BACKGROUND = re.compile(r"back ?ground|bg|normal|healthy|breast|tissue", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Settled:
    """Everything that the graph and the contract are made of.

    Attributes
    ----------
    facts
        Without a None among what is needed; `tile` is what is run.
    lesions
        Channels of the output that are lesions.
    free
        The net takes other sizes than `tile`.
    """

    facts: Facts
    pixels: InputRange
    activation: Activation
    lesions: tuple[int, ...]
    names: tuple[str, ...]
    spacing_mm: float
    tile: Shape
    free: bool
    flags: Flags

    @property
    def transposed(self) -> bool:
        """The net has columns before rows."""
        return self.facts.columns_first != self.flags.transpose

    @property
    def is_named(self) -> bool:
        """Whether somebody says what kind of lesion the lesions are."""
        said = self.flags.classes is not None or self.facts.class_names is not None
        return said and any(self.names[one].lower() != LESION for one in self.lesions)


def settle(facts: Facts, flags: Flags) -> Settled:
    """Put what the files say and what the caller says together.

    Raises
    ------
    Unanswered
        Something is neither in the files nor among the flags.
    AdoptError
        Flags contradict the files, or make no sense.
    """
    questions: list[str] = []
    facts = _of_output(facts, flags, questions)
    pixels = _pixels(facts, flags, questions)
    spacing_mm = _spacing(facts, flags, questions)
    activation = _activation(facts, flags, questions)
    names = _names(facts, flags)
    lesions = _lesions(facts, flags, names, questions)
    tile = _tile(facts, flags)
    if questions:
        raise Unanswered(questions)
    assert pixels is not None and spacing_mm is not None and activation is not None
    return Settled(
        facts,
        pixels,
        activation,
        lesions,
        names,
        spacing_mm,
        tile or facts.tile or FREE_TILE,
        facts.tile is None and tile is None,
        flags,
    )


def _of_output(facts: Facts, flags: Flags, questions: list[str]) -> Facts:
    """Return what the files say of the output that is the map."""
    if flags.output is None:
        if facts.maps:
            questions.append(
                f"which of its outputs is the map: {', '.join(facts.maps)}. --output NAME; the "
                "others are left out."
            )
        return facts
    for one in (facts, *facts.others):
        if one.output == flags.output:
            return one
    raise AdoptError(f"--output {flags.output}: there is no such map to choose")


def check_values(settled: Settled, seen: tuple[float, float]) -> None:
    """Hold what the bare net answers against what is to become of it.

    Parameters
    ----------
    settled
        What is known of the net.
    seen
        The smallest and the largest value of its answer to the sample.

    Raises
    ------
    AdoptError
        It answers no numbers, a sigmoid is missing, or one is too many.
    """
    low, high = seen
    if not (math.isfinite(low) and math.isfinite(high)):
        raise AdoptError(
            "the net answers no numbers (NaN or infinity) to the sample: look at --pixels, --mean "
            "and --deviation, or at its weights"
        )
    inside = low >= -1e-4 and high <= 1 + 1e-4
    if settled.activation == "none" and not inside:
        raise AdoptError(
            f"the net answers {low:.3g} to {high:.3g}, which are no probabilities: a sigmoid or "
            "softmax is missing. Say --activation sigmoid or --activation softmax."
        )
    if settled.activation != "none" and inside and high > low:
        raise AdoptError(
            f"the net answers {low:.3g} to {high:.3g}, which are probabilities already: a second "
            f"{settled.activation} would press them together. Say --activation none."
        )


def _pixels(facts: Facts, flags: Flags, questions: list[str]) -> InputRange | None:
    known = facts.pixels
    if flags.pixels is not None:
        given = _as_the_files_go_on(range_of(flags.pixels), facts)
        if known is not None and _is_other(given, known):
            raise AdoptError(
                f"--pixels {flags.pixels} contradicts the files, which say {name_of(known)}"
            )
        known = given if known is None else known
    if known is None:
        questions.append(
            "which values the net takes its pixels in. One of --pixels "
            + ", ".join(RANGES)
            + ", or LOW..HIGH of the 16-bit display values that become 0 and 1; then --mean and "
            "--deviation where there are any."
        )
        return None
    if flags.mean is not None:
        known = replace(known, mean=_numbers("--mean", flags.mean))
    if flags.deviation is not None:
        known = replace(known, deviation=_numbers("--deviation", flags.deviation))
    for numbers in (known.mean, known.deviation):
        if len(numbers) not in (1, facts.channels):
            raise AdoptError(
                f"the net takes {facts.channels} channel(s), and {len(numbers)} means or "
                "deviations are given: one, or one a channel"
            )
    return known


def _as_the_files_go_on(given: InputRange, facts: Facts) -> InputRange:
    """Return a range that was said with what the files say of it all the same."""
    return replace(
        given,
        region=facts.region,
        mean=facts.mean or given.mean,
        deviation=facts.deviation or given.deviation,
    )


def _is_other(given: InputRange, known: InputRange) -> bool:
    """Say whether two ranges differ in what `--pixels` can say."""
    return replace(given, region=known.region, over=known.over, taken=known.taken) != known


def _numbers(flag: str, text: str) -> tuple[float, ...]:
    try:
        numbers = tuple(float(one) for one in text.split(","))
    except ValueError:
        raise AdoptError(f"{flag} {text}: numbers, separated by commas") from None
    if not all(math.isfinite(one) for one in numbers):
        raise AdoptError(f"{flag} {text}: finite numbers")
    if flag == "--deviation" and 0.0 in numbers:
        raise AdoptError(f"{flag} {text}: nothing is divided by 0")
    return numbers


def _spacing(facts: Facts, flags: Flags, questions: list[str]) -> float | None:
    known = facts.spacing_mm
    if flags.spacing_mm is not None and not 0 < flags.spacing_mm < math.inf:
        raise AdoptError(f"--spacing {flags.spacing_mm:g}: millimetres, above 0")
    if known is not None and flags.spacing_mm is not None:
        if abs(known - flags.spacing_mm) > 0.01 * known:
            raise AdoptError(
                f"--spacing {flags.spacing_mm:g} contradicts the files, which say {known:g} mm"
            )
        return known
    if known is None and flags.spacing_mm is None:
        questions.append(
            "how large a pixel of its training images was. --spacing MM; 0.05 to 0.1 for the "
            "detector's own pixels, more where the images were shrunk first."
        )
    return known if known is not None else flags.spacing_mm


def _activation(facts: Facts, flags: Flags, questions: list[str]) -> Activation | None:
    known, given = facts.activation, flags.activation
    if known == "none" and given not in (None, "none"):
        raise AdoptError(
            f"the net gives probabilities already: a second {given} would press them together. "
            "Leave --activation out."
        )
    if known is not None and given is not None and known != given:
        raise AdoptError(f"--activation {given} contradicts the files, which say {known}")
    if known is None and given is None:
        questions.append(
            "whether its answers are probabilities. --activation sigmoid or softmax where they "
            "are logits, none where they are probabilities."
        )
    if "softmax" in (known, given) and facts.outputs == 1:
        raise AdoptError("a softmax over one class is 1 everywhere: say --activation sigmoid")
    return known or given


def _names(facts: Facts, flags: Flags) -> tuple[str, ...]:
    given = None if flags.classes is None else tuple(flags.classes.split(","))
    names = given or facts.class_names
    if names is None:
        return tuple(
            LESION if facts.outputs == 1 else f"class {index}" for index in range(facts.outputs)
        )
    if len(names) != facts.outputs and (facts.outputs != 1 or len(names) != 2):
        raise AdoptError(
            f"the net has {facts.outputs} output channel(s), and {len(names)} classes are named: "
            f"{', '.join(names)}"
        )
    if not all(names) or len({*names}) < len(names):
        raise AdoptError(f"two classes have one name, or one has none: {', '.join(names)}")
    # One logit of two classes is the second's.
    return names[-1:] if facts.outputs == 1 else names


def _lesions(
    facts: Facts, flags: Flags, names: Sequence[str], questions: list[str]
) -> tuple[int, ...]:
    if flags.lesion_class:
        chosen = tuple(_index(one, names) for one in flags.lesion_class)
    elif facts.lesions is not None:
        chosen = facts.lesions
    elif facts.outputs == 1:
        chosen = (0,)
    else:
        questions.append(
            f"which of its {facts.outputs} classes are lesions: {', '.join(names)}. "
            "--lesion-class NAME or NUMBER, several times for several; the background is none."
        )
        return ()
    for index in chosen:
        if facts.outputs > 1 and BACKGROUND.fullmatch(names[index]):
            raise AdoptError(f"the class {names[index]!r} is the background's, not a lesion's")
    if len(set(chosen)) < len(chosen):
        raise AdoptError("--lesion-class names one class twice")
    if facts.outputs > 1 and len(chosen) == facts.outputs and _sums_to_one(facts, flags):
        raise AdoptError("every class is named a lesion: their probabilities sum to 1 everywhere")
    return chosen


def _sums_to_one(facts: Facts, flags: Flags) -> bool:
    return facts.exclusive or "softmax" in (facts.activation, flags.activation)


def _index(text: str, names: Sequence[str]) -> int:
    if text in names:
        return names.index(text)
    if text.isdecimal() and int(text) < len(names):
        return int(text)
    raise AdoptError(
        f"--lesion-class {text}: the net has the classes "
        + ", ".join(f"{index} ({name})" for index, name in enumerate(names))
    )


def _tile(facts: Facts, flags: Flags) -> Shape | None:
    tile = flags.tile_shape
    if tile is not None and facts.tile is not None and tile != facts.tile:
        rows, columns = facts.tile
        raise AdoptError(f"--tile {flags.tile}: the net takes {rows}x{columns} and no other")
    return tile
