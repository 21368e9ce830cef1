"""Every flag that might have been said otherwise, one at a time, and as it would be typed."""

import shlex
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

from model_export.adopt.answers import Settled, settle
from model_export.adopt.errors import AdoptError
from model_export.adopt.flags import IMAGENET_DEVIATION, IMAGENET_MEAN, RANGES, Flags
from model_export.adopt.foreign import Facts, Shape
from model_export.adopt.sample import Sample

SPELLING = {"spacing_mm": "--spacing", "codes": "--code"}
"""Of flags that are not called as the field is."""

UNSAID: tuple[object, ...] = (None, False, (), "any")

MAX_CLASSES = 20
"""That are taken for the lesion in turn."""

SPACINGS_MM = (0.05, 0.07, 0.1, 0.2, 0.4, 0.8)
"""Detectors' own, and what images are often shrunk to."""

SAME_SPACING = 0.02
"""Relative difference of two spacings that are not told apart."""

MAX_ENLARGED = 2.0
"""No net was trained on images that were made larger than they came by more than this."""

MAX_PIXELS = 2**25
"""Of the sample at a spacing that is tried, and of a tile."""

GRID = 32
"""A whole view is padded to a multiple of this, as nets of five halvings need it."""

CAFFE_MEAN = (103.939, 116.779, 123.68)
"""ImageNet's of 8-bit values, blue first, over which VGG was trained."""


@dataclass(frozen=True, slots=True)
class Change:
    """One flag said otherwise.

    Attributes
    ----------
    settled
        What is then known of the net.
    said
        What to do, with the flag as it would be typed.
    """

    settled: Settled
    said: str


def changes(
    facts: Facts, settled: Settled, sample: Sample, follows: Collection[str] = ()
) -> list[Change]:
    """Return every single change that the files do not contradict, the likeliest first.

    Parameters
    ----------
    facts
        What the files say.
    settled
        What it came to with the flags that were said.
    sample
        Whose size tells which spacings and tiles are worth a try.
    follows
        Fields of `Flags` that are not to be changed.
    """
    found: list[Change] = []
    for changed in _candidates(facts, settled, sample):
        if any(name in follows for name in changed):
            continue
        flags = replace(settled.flags, **changed)
        try:
            other = settle(facts, flags)
        except AdoptError:
            continue
        if _differs(other, settled) and all(_differs(other, one.settled) for one in found):
            found.append(Change(other, _advice(settled.flags, flags, tuple(changed))))
    return found


def typed(flags: Flags, names: Sequence[str]) -> str:
    """Return flags as they would be typed; nothing for those that are not said."""
    parts = []
    for name in names:
        value = getattr(flags, name)
        spelling = SPELLING.get(name, "--" + name.replace("_", "-"))
        if value in UNSAID:
            continue
        if value is True:
            parts.append(spelling)
            continue
        for one in value if isinstance(value, tuple) else (value,):
            text = f"{one:.6g}" if isinstance(one, float) else str(one)
            parts.append(f"{spelling} {shlex.quote(text)}")
    return " ".join(parts)


def said_of(flags: Flags, names: Collection[str]) -> str:
    """Return those of some flags that were said, in their own order."""
    return typed(flags, [one.name for one in fields(flags) if one.name in names])


def _advice(before: Flags, after: Flags, names: Sequence[str]) -> str:
    old, new = typed(before, names), typed(after, names)
    if not new:
        return f"leave out {old}"
    return f"say {new} instead of {old}" if old else f"add {new}"


def _differs(one: Settled, other: Settled) -> bool:
    """Say whether two are served otherwise; what was said of them does not matter."""
    return replace(one, flags=_effects(one.flags)) != replace(other, flags=_effects(other.flags))


def _effects(flags: Flags) -> Flags:
    """Return the flags that are looked at once all is settled."""
    return Flags(facing=flags.facing, bgr=flags.bgr, invert=flags.invert, transpose=flags.transpose)


def _candidates(facts: Facts, settled: Settled, sample: Sample) -> Iterator[dict[str, Any]]:
    flags = settled.flags
    for one in (facts, *facts.others):
        if one.output != settled.facts.output:
            yield {"output": one.output}
    yield from _classes(settled)
    for activation in ("sigmoid", "softmax", "none"):
        yield {"activation": activation}
    if len({*settled.pixels.mean}) > 1 or len({*settled.pixels.deviation}) > 1:
        yield {"bgr": not flags.bgr}
    yield {"invert": not flags.invert}
    yield {"transpose": not flags.transpose}
    if facts.pixels is None:
        for name in RANGES:
            yield {"pixels": name}
    yield from _normalisations(settled)
    for facing in ("any", "left", "right"):
        yield {"facing": facing}
    yield from _tiles(settled, sample)
    for spacing_mm in _spacings(settled, sample):
        yield {"spacing_mm": spacing_mm}


def _classes(settled: Settled) -> Iterator[dict[str, Any]]:
    outputs = settled.facts.outputs
    if outputs == 1:
        return
    named = settled.flags.classes is not None or settled.facts.class_names is not None
    names = settled.names if named else tuple(str(index) for index in range(outputs))
    for name in names[:MAX_CLASSES]:
        yield {"lesion_class": (name,)}
    if 2 < outputs <= MAX_CLASSES:
        yield {"lesion_class": names[1:]}


def _normalisations(settled: Settled) -> Iterator[dict[str, Any]]:
    pixels, flags = settled.pixels, settled.flags
    for gone in ({"mean": None, "deviation": None}, {"mean": None}, {"deviation": None}):
        if all(getattr(flags, name) is not None for name in gone):
            yield gone
    if pixels.statistic == "z_score" or pixels.scale not in (1.0, 255.0):
        return
    scale = pixels.scale
    yield _normalisation((0.5 * scale,), (0.5 * scale,))
    if settled.facts.channels == len(IMAGENET_MEAN):
        yield _normalisation(
            tuple(one * scale for one in IMAGENET_MEAN),
            tuple(one * scale for one in IMAGENET_DEVIATION),
        )
        if scale != 1.0:
            yield {"mean": _joined(CAFFE_MEAN), "deviation": None}


def _normalisation(mean: Sequence[float], deviation: Sequence[float]) -> dict[str, Any]:
    return {"mean": _joined(mean), "deviation": _joined(deviation)}


def _joined(numbers: Sequence[float]) -> str:
    return ",".join(f"{one:.6g}" for one in numbers)


def _tiles(settled: Settled, sample: Sample) -> Iterator[dict[str, Any]]:
    if settled.flags.tile is not None:
        yield {"tile": None}
    rows, columns = (-(-side // GRID) * GRID for side in _shape(sample, settled.spacing_mm))
    if settled.facts.tile is None and rows * columns <= MAX_PIXELS:
        yield {"tile": f"{rows}x{columns}"}


def _spacings(settled: Settled, sample: Sample) -> list[float]:
    """Return other spacings, of five digits: those typed must be those tried."""
    given, (down, across) = settled.spacing_mm, sample.spacing_mm
    wanted = [2 * given, given / 2, (down + across) / 2]
    if settled.facts.tile is not None:
        rows, columns = settled.facts.tile
        height, width = sample.mammogram.pixels.shape
        wanted += [height * down / rows, width * across / columns]
    found: list[float] = []
    for one in (*wanted, *SPACINGS_MM):
        spacing_mm = float(f"{one:.5g}")
        rows, columns = _shape(sample, spacing_mm)
        known = (given, *found)
        if (
            rows * columns <= MAX_PIXELS
            and spacing_mm >= min(down, across) / MAX_ENLARGED
            and all(abs(spacing_mm - other) > SAME_SPACING * other for other in known)
        ):
            found.append(spacing_mm)
    return found


def _shape(sample: Sample, spacing_mm: float) -> Shape:
    rows, columns = (
        max(1, round(side * own / spacing_mm))
        for side, own in zip(sample.mammogram.pixels.shape, sample.spacing_mm, strict=True)
    )
    return rows, columns
