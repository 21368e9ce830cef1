"""COCO's run lengths: a list of numbers, or the same packed as text.

In the text each number takes one or more characters from "0" on, five bits each, the lowest first;
bit 5 says that another one follows, bit 4 of the last is the sign. From the fourth number on the
difference to the last but one is stored (pycocotools, `rleFrString` in `maskApi.c`).
"""

from typing import Any, TypeGuard

from model_export.datasets.annotations.shapes import RunLengths
from model_export.datasets.tables import DatasetError

MAX_BITS = 35
"""Of a packed number: more than any image needs."""

MAX_PIXELS = 2**30


def run_lengths(segmentation: dict[str, Any], where: str) -> RunLengths:
    """Read a segmentation that is an object with `size` (rows, columns) and `counts`.

    Raises
    ------
    DatasetError
        It is none, or its runs do not add up to its size.
    """
    size, counts = segmentation.get("size"), segmentation.get("counts")
    if not _are_counts(size) or len(size) != 2 or not 0 < size[0] * size[1] <= MAX_PIXELS:
        raise DatasetError(f"{where}: run lengths have no size of rows and columns")
    if isinstance(counts, str):
        counts = _unpacked(counts, where)
    if not _are_counts(counts) or sum(counts) != size[0] * size[1]:
        raise DatasetError(f"{where}: run lengths do not add up to {size[0]} x {size[1]} pixels")
    return RunLengths(size[0], size[1], tuple(counts))


def _are_counts(values: object) -> TypeGuard[list[int]]:
    return isinstance(values, list) and all(
        isinstance(one, int) and not isinstance(one, bool) and one >= 0 for one in values
    )


def _unpacked(text: str, where: str) -> list[int]:
    counts: list[int] = []
    value = bits = 0
    for character in text:
        code = ord(character) - 48
        if not 0 <= code < 64 or bits > MAX_BITS:
            raise DatasetError(f"{where}: run lengths hold {character!r}, which packs no number")
        value |= (code & 31) << bits
        bits += 5
        if code & 32:
            continue
        if code & 16:
            value -= 1 << bits
        counts.append(value + (counts[-2] if len(counts) > 2 else 0))
        value = bits = 0
    if bits:
        raise DatasetError(f"{where}: run lengths end within a number")
    return counts
