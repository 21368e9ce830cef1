"""Stored values -> display values: one table over all stored codes, applied once.

The order is the standard's: Modality LUT or rescale (PS3.3 C.11.1), VOI LUT or window (C.11.2),
and the inversion that MONOCHROME1 asks for last (C.7.6.3.1.2), so that a larger value is brighter.

Presentation LUT Shape inverts nothing here. In an image, IDENTITY shall go with MONOCHROME2 and
INVERSE with MONOCHROME1 (C.7.6.1, C.8.11.3): it says once more what the photometric interpretation
says. Only in a presentation state (C.11.6) does it stand for itself. Where the two contradict each
other, the photometric interpretation is followed, as the decoders of others do, and it is said.
"""

from collections.abc import Callable

import cv2
import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset

from service.imaging import elements
from service.imaging.decode import Codes
from service.imaging.lut import Table, lookup_table
from service.imaging.mammogram import Caveat
from service.imaging.pixel_layout import PixelLayout
from service.imaging.sample_range import unpainted_maximum

FULL = 65535

VOI_LUT_IGNORED = Caveat(
    "voi-lut-ignored", "The display look-up table (VOI LUT) is not usable and was left out."
)
VOI_LUT_SCALED = Caveat(
    "voi-lut-scaled",
    "The display look-up table (VOI LUT) states other bits than its entries take; it was scaled by "
    "its largest entry.",
)
WINDOW_IGNORED = Caveat(
    "window-ignored",
    "The display window is not usable; the observed range of values was shown instead.",
)
FIRST_OF_SEVERAL = Caveat(
    "voi-first-of-several", "The image offers several display windows; the first was used."
)
SHAPE_IGNORED = Caveat(
    "presentation-lut-shape-ignored",
    "Presentation LUT Shape contradicts the photometric interpretation, which was followed.",
)
MODALITY_LUT_IGNORED = Caveat(
    "modality-lut-ignored", "The modality look-up table is not usable and was left out."
)
RESCALE_IGNORED = Caveat(
    "rescale-ignored", "The rescale slope and intercept are not usable and were left out."
)

Display = tuple[NDArray[np.float64] | None, tuple[Caveat, ...]]
"""Values scaled to [0, 1], or None where what the image offers is broken; and what to say of it."""


def to_display(
    codes: Codes, layout: PixelLayout, dataset: Dataset
) -> tuple[NDArray[np.uint16], tuple[Caveat, ...]]:
    """Bring stored values to display values.

    Pixels of Pixel Padding Value (and up to Pixel Padding Range Limit, PS3.3 C.7.5.1.1.2) become
    0, the darkest. A VOI LUT outranks a window, either may be used (C.11.2.1), and one that is
    broken or shows nothing gives way to the next; without any, the observed range is shown.

    Parameters
    ----------
    codes
        uint8 or uint16, shape (rows, columns).
    layout
        Which of their bits count, and how.
    dataset
        Holds the transforms.

    Returns
    -------
    pixels
        uint16 over [0, 65535], same shape, C-contiguous, larger is brighter.
    caveats
        What was ignored or chosen.
    """
    stored = stored_values(layout, codes.dtype.itemsize)
    padding = _padding(stored, dataset)
    modality, caveats = _modality(stored, dataset)
    caveats += _contradiction(layout, dataset)
    for offer, ignored in _OFFERS:
        offered = offer(modality, dataset)
        if offered is None:
            continue
        shown, said = offered
        if shown is not None:
            pixels = _apply(_table(shown, padding, layout), codes)
            low, high, _, _ = cv2.minMaxLoc(pixels)
            if high > low:
                return pixels, caveats + said
        caveats += (ignored,)
    shown = _observed(modality, stored, codes, padding)
    return _apply(_table(shown, padding, layout), codes), caveats


def stored_values(layout: PixelLayout, item_bytes: int) -> NDArray[np.int32]:
    """Return the stored value of every code: unused bits masked off, sign extended (PS3.5 8.1.1).

    Returns
    -------
    int32, shape (256,) or (65536,)
    """
    codes = np.arange(1 << (8 * item_bytes), dtype=np.int32)
    values = (codes >> (layout.high_bit + 1 - layout.bits_stored)) & ((1 << layout.bits_stored) - 1)
    if layout.signed:
        sign = 1 << (layout.bits_stored - 1)
        values = (values ^ sign) - sign
    return values.astype(np.int32)


def _padding(stored: NDArray[np.int32], dataset: Dataset) -> NDArray[np.bool_]:
    values = elements.raw_integers(dataset, "PixelPaddingValue")
    if len(values) != 1:
        return np.zeros(stored.shape, np.bool_)
    limits = elements.raw_integers(dataset, "PixelPaddingRangeLimit")
    ends = [values[0], limits[0] if len(limits) == 1 else values[0]]
    if stored.min() < 0:
        # Read as US where the samples are signed: 0xF830 is -2000.
        ends = [end - 65536 if end > 32767 else end for end in ends]
    return (stored >= min(ends)) & (stored <= max(ends))


def _modality(
    stored: NDArray[np.int32], dataset: Dataset
) -> tuple[NDArray[np.float64], tuple[Caveat, ...]]:
    if "ModalityLUTSequence" in dataset:
        table = _first_table(dataset, "ModalityLUTSequence", bool(stored.min() < 0))
        if table is not None:
            return table.look_up(stored), ()
        return stored.astype(np.float64), (MODALITY_LUT_IGNORED,)
    if "RescaleSlope" not in dataset and "RescaleIntercept" not in dataset:
        return stored.astype(np.float64), ()
    slope = elements.number(dataset, "RescaleSlope")
    intercept = elements.number(dataset, "RescaleIntercept")
    if not slope or intercept is None or max(abs(slope), abs(intercept)) > 1e9:
        return stored.astype(np.float64), (RESCALE_IGNORED,)
    return stored.astype(np.float64) * slope + intercept, ()


def _first_table(dataset: Dataset, keyword: str, signed: bool) -> Table | None:
    first = elements.item(dataset, keyword, 0)
    return None if first is None else lookup_table(first, signed=signed)


def _voi_table(modality: NDArray[np.float64], dataset: Dataset) -> Display | None:
    """Apply the first VOI LUT (PS3.3 C.11.2.1.1); None where the image has none."""
    if "VOILUTSequence" not in dataset:
        return None
    table = _first_table(dataset, "VOILUTSequence", bool(modality.min() < 0))
    if table is None:
        return None, ()
    said: tuple[Caveat, ...] = (VOI_LUT_SCALED,) if table.misstated else ()
    if elements.item(dataset, "VOILUTSequence", 1) is not None:
        said += (FIRST_OF_SEVERAL,)
    return table.look_up(modality) / table.maximum, said


def _window(modality: NDArray[np.float64], dataset: Dataset) -> Display | None:
    """Apply the first window (PS3.3 C.11.2.1.2); None where the image has none."""
    if "WindowCenter" not in dataset and "WindowWidth" not in dataset:
        return None
    centers = elements.numbers(dataset, "WindowCenter")
    widths = elements.numbers(dataset, "WindowWidth")
    function = elements.text(dataset, "VOILUTFunction") or "LINEAR"
    if not centers or len(centers) != len(widths) or not _valid_width(widths[0], function):
        return None, ()
    shown = apply_window(modality, centers[0], widths[0], function)
    return shown, (FIRST_OF_SEVERAL,) if len(centers) > 1 else ()


_OFFERS: tuple[tuple[Callable[[NDArray[np.float64], Dataset], Display | None], Caveat], ...] = (
    (_voi_table, VOI_LUT_IGNORED),
    (_window, WINDOW_IGNORED),
)


def _valid_width(width: float, function: str) -> bool:
    if function == "LINEAR":
        return width >= 1
    return width > 0 and function in ("LINEAR_EXACT", "SIGMOID")


def apply_window(
    values: NDArray[np.float64], center: float, width: float, function: str
) -> NDArray[np.float64]:
    """Apply a window (PS3.3 C.11.2.1.2.1 LINEAR, C.11.2.1.3.1 SIGMOID, C.11.2.1.3.2 LINEAR_EXACT).

    Returns
    -------
    float64 in [0, 1], same shape.
    """
    if function == "SIGMOID":
        exponent = np.clip(-4.0 * (values - center) / width, -500.0, 500.0)
        return np.asarray(1.0 / (1.0 + np.exp(exponent)), np.float64)
    if function == "LINEAR_EXACT":
        return np.clip((values - center) / width + 0.5, 0.0, 1.0)
    if width == 1:
        return (values > center - 0.5).astype(np.float64)
    return np.clip((values - (center - 0.5)) / (width - 1) + 0.5, 0.0, 1.0)


def _contradiction(layout: PixelLayout, dataset: Dataset) -> tuple[Caveat, ...]:
    # In mammography INVERSE goes with MONOCHROME1 and says the same once more, not twice
    # (PS3.3 C.8.11.3.1.2).
    shape = elements.text(dataset, "PresentationLUTShape")
    inverse = layout.photometric_interpretation == "MONOCHROME1"
    contradicts = shape in ("IDENTITY", "INVERSE") and (shape == "INVERSE") is not inverse
    return (SHAPE_IGNORED,) if contradicts else ()


def _observed(
    modality: NDArray[np.float64],
    stored: NDArray[np.int32],
    codes: Codes,
    padding: NDArray[np.bool_],
) -> NDArray[np.float64]:
    present = _present(modality, stored, codes, padding)
    if present.size == 0 or present.max() <= present.min():
        return np.zeros(modality.shape)
    low, high = present.min(), present.max()
    shown: NDArray[np.float64] = np.clip((modality - low) / (high - low), 0.0, 1.0)
    return shown


def _present(
    modality: NDArray[np.float64],
    stored: NDArray[np.int32],
    codes: Codes,
    padding: NDArray[np.bool_],
) -> NDArray[np.float64]:
    """Return the values that occur, or at least the smallest and the largest of them.

    Beside labels that are painted beyond them the rest would be black, so these do not count.
    """
    first = int(stored.min())
    ranks = (stored - first).astype(f"u{codes.dtype.itemsize}")
    values = np.empty_like(modality)
    values[ranks] = modality
    unseen = _unseen(codes, padding)
    if unseen is not None and unseen.all():
        return np.empty(0)
    samples = _in_order(codes, ranks, padding, unseen)
    low, high = (int(end) for end in cv2.minMaxLoc(samples)[:2])
    steps = np.diff(values[low : high + 1])
    if np.all(steps >= 0) or np.all(steps <= 0):
        # Of signed samples, half the codes lie below zero.
        start = low if first < 0 else 0
        raised = cv2.subtract(samples, start) if start else samples
        painted = unseen if padding.any() and ranks[padding].min() > high else None
        return values[[low, start + unpainted_maximum(raised, painted)]]
    # Ten times as slow as looking for the ends.
    counts = cv2.calcHist([samples], [0], None, [len(values)], [0, len(values)]).ravel()
    present: NDArray[np.float64] = values[counts > 0]
    return present


def _unseen(codes: Codes, padding: NDArray[np.bool_]) -> NDArray[np.uint8] | None:
    """Return 255 at each pixel of padding, else 0; None where no pixel is."""
    if not padding.any():
        return None
    unseen: NDArray[np.uint8] = cv2.LUT(codes, np.where(padding, np.uint8(255), np.uint8(0)))
    return unseen if unseen.any() else None


def _in_order(
    codes: Codes,
    ranks: NDArray[np.unsignedinteger],
    padding: NDArray[np.bool_],
    unseen: NDArray[np.uint8] | None,
) -> Codes:
    """Return each pixel's rank among the stored values; of padding, the lowest that is seen."""
    if unseen is not None:
        lowest = cv2.minMaxLoc(cv2.LUT(codes, ranks), mask=~unseen)[0]
        ranks = np.where(padding, ranks.dtype.type(lowest), ranks)
    elif np.array_equal(ranks, np.arange(len(ranks))):
        return codes
    ordered: Codes = cv2.LUT(codes, ranks)
    return ordered


def _table(
    shown: NDArray[np.float64], padding: NDArray[np.bool_], layout: PixelLayout
) -> NDArray[np.uint16]:
    table = np.rint(shown * FULL).astype(np.uint16)
    if layout.photometric_interpretation == "MONOCHROME1":
        table = np.uint16(FULL) - table
    table[padding] = 0
    return table


def _apply(table: NDArray[np.uint16], codes: Codes) -> NDArray[np.uint16]:
    # Three times as fast as numpy's indexing.
    pixels: NDArray[np.uint16] = cv2.LUT(codes, table)
    return pixels
