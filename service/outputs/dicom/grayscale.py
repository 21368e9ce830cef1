"""How a source wants to be shown: Modality LUT, VOI LUT or window, polarity (PS3.3 C.11)."""

from dataclasses import dataclass

import highdicom as hd
import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset

from service.imaging import elements
from service.imaging.lut import Table, lookup_table
from service.imaging.photometry import apply_window

FUNCTIONS = ("LINEAR", "LINEAR_EXACT", "SIGMOID")


@dataclass(frozen=True, slots=True, eq=False)
class Grayscale:
    """What of the grayscale pipeline a source states and a presentation state can take over.

    Attributes
    ----------
    modality
        Rescale or Modality LUT; None for identity, and where the VOI LUT holds it.
    voi
        The first VOI LUT, else the first window, a sigmoid one as a table; None when there is no
        usable one.
    inverse
        True for MONOCHROME1: a presentation state knows of no photometric interpretation and says
        it by Presentation LUT Shape (PS3.4 N.2.1.3).
    """

    modality: hd.ModalityLUTTransformation | None
    voi: hd.pr.SoftcopyVOILUTTransformation | None
    inverse: bool


def read_grayscale(header: Dataset) -> Grayscale:
    """Read what a presentation state repeats; what is broken is left out, as the reader does."""
    signed = elements.integer(header, "PixelRepresentation") == 1
    table = _first_table(header, "ModalityLUTSequence", signed)
    voi_table, window = _first_table(header, "VOILUTSequence", signed), _window(header)
    modality, voi = _modality(header, table), None
    if voi_table is not None:
        full = np.rint(voi_table.entries * (65535.0 / voi_table.maximum)).astype(np.uint16)
        voi = _voi_lut(voi_table.first, full)
    elif window is not None and window[2] == "SIGMOID":
        modality, voi = None, _sigmoid_table(header, signed, table, window[0], window[1])
    elif window is not None:
        voi = hd.pr.SoftcopyVOILUTTransformation(
            window_center=window[0], window_width=window[1], voi_lut_function=window[2]
        )
    return Grayscale(
        modality=modality,
        voi=voi,
        inverse=elements.text(header, "PhotometricInterpretation") == "MONOCHROME1",
    )


def _modality(header: Dataset, table: Table | None) -> hd.ModalityLUTTransformation | None:
    if table is not None:
        lut = hd.ModalityLUT(
            lut_type="US", first_mapped_value=0, lut_data=table.entries.astype(np.uint16)
        )
        _set_first(lut, table.first)
        return hd.ModalityLUTTransformation(modality_lut=lut)
    rescale = _rescale(header)
    if rescale is None:
        return None
    return hd.ModalityLUTTransformation(
        rescale_slope=rescale[0], rescale_intercept=rescale[1], rescale_type="US"
    )


def _rescale(header: Dataset) -> tuple[float, float] | None:
    """Return slope and intercept; None for identity, and where they are not usable."""
    slope = elements.number(header, "RescaleSlope")
    intercept = elements.number(header, "RescaleIntercept")
    if not slope or intercept is None or (slope, intercept) == (1.0, 0.0):
        return None
    return slope, intercept


def _window(header: Dataset) -> tuple[float, float, str] | None:
    """Return centre, width and function of the first window; None without a usable one."""
    centers = elements.numbers(header, "WindowCenter")
    widths = elements.numbers(header, "WindowWidth")
    function = elements.text(header, "VOILUTFunction") or "LINEAR"
    if not centers or len(centers) != len(widths) or function not in FUNCTIONS:
        return None
    if widths[0] <= 0 or (function == "LINEAR" and widths[0] < 1):
        return None
    return centers[0], widths[0], function


def _sigmoid_table(
    header: Dataset, signed: bool, modality: Table | None, center: float, width: float
) -> hd.pr.SoftcopyVOILUTTransformation:
    """Write a sigmoid window out as a VOI LUT over all stored values (PS3.3 C.11.8 allows both).

    dcmtk's presentation states, and so DICOMscope, take every window for a linear one. What the
    window is applied to, a rescale or Modality LUT, is in the table: its values need not be whole.
    """
    bits = min(max(elements.integer(header, "BitsStored") or 16, 1), 16)
    first = -(1 << (bits - 1)) if signed else 0
    values = np.arange(first, first + (1 << bits), dtype=np.float64)
    rescale = _rescale(header)
    if modality is not None:
        values = modality.look_up(values)
    elif rescale is not None:
        values = values * rescale[0] + rescale[1]
    shown = np.rint(65535.0 * apply_window(values, center, width, "SIGMOID")).astype(np.uint16)
    return _voi_lut(first, shown, "SIGMOID window")


def _first_table(header: Dataset, keyword: str, signed: bool) -> Table | None:
    items = elements.items(header, keyword)
    table = lookup_table(items[0], signed=signed) if items else None
    return table if table is not None and -32768 <= table.first <= 65535 else None


def _voi_lut(
    first: int, entries: NDArray[np.uint16], explanation: str | None = None
) -> hd.pr.SoftcopyVOILUTTransformation:
    lut = hd.VOILUT(first_mapped_value=0, lut_data=entries, lut_explanation=explanation)
    _set_first(lut, first)
    return hd.pr.SoftcopyVOILUTTransformation(voi_luts=[lut])


def _set_first(lut: hd.LUT, first: int) -> None:
    """Set the first value mapped; a negative one is SS (PS3.3 C.11.1.1), which highdicom lacks."""
    count, _, bits = lut.LUTDescriptor
    if first < 0:
        # As SS a count from 32,768 on is negative: the same two bytes.
        lut.add_new("LUTDescriptor", "SS", [(count ^ 0x8000) - 0x8000, first, bits])
    else:
        lut.LUTDescriptor = [count, first, bits]
