"""How a source wants to be shown: Modality LUT, VOI LUT or window, polarity (PS3.3 C.11)."""

from dataclasses import dataclass

import highdicom as hd
import numpy as np
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
        Rescale or Modality LUT; None for identity.
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
    return Grayscale(
        modality=_modality(header, signed),
        voi=_voi(header, signed),
        inverse=elements.text(header, "PhotometricInterpretation") == "MONOCHROME1",
    )


def _modality(header: Dataset, signed: bool) -> hd.ModalityLUTTransformation | None:
    table = _first_table(header, "ModalityLUTSequence", signed)
    if table is not None:
        lut = hd.ModalityLUT(
            lut_type="US", first_mapped_value=table.first, lut_data=table.entries.astype(np.uint16)
        )
        return hd.ModalityLUTTransformation(modality_lut=lut)
    slope = elements.number(header, "RescaleSlope")
    intercept = elements.number(header, "RescaleIntercept")
    if not slope or intercept is None or (slope, intercept) == (1.0, 0.0):
        return None
    return hd.ModalityLUTTransformation(
        rescale_slope=slope, rescale_intercept=intercept, rescale_type="US"
    )


def _voi(header: Dataset, signed: bool) -> hd.pr.SoftcopyVOILUTTransformation | None:
    table = _first_table(header, "VOILUTSequence", signed)
    if table is not None:
        full = np.rint(table.entries * (65535.0 / table.maximum)).astype(np.uint16)
        lut = hd.VOILUT(first_mapped_value=table.first, lut_data=full)
        return hd.pr.SoftcopyVOILUTTransformation(voi_luts=[lut])
    centers = elements.numbers(header, "WindowCenter")
    widths = elements.numbers(header, "WindowWidth")
    function = elements.text(header, "VOILUTFunction") or "LINEAR"
    if not centers or len(centers) != len(widths) or function not in FUNCTIONS:
        return None
    if widths[0] <= 0 or (function == "LINEAR" and widths[0] < 1):
        return None
    if function == "SIGMOID" and not _is_rescaled(header) and not signed:
        return _sigmoid_table(header, centers[0], widths[0])
    return hd.pr.SoftcopyVOILUTTransformation(
        window_center=centers[0], window_width=widths[0], voi_lut_function=function
    )


def _is_rescaled(header: Dataset) -> bool:
    return _modality(header, signed=False) is not None


def _sigmoid_table(
    header: Dataset, center: float, width: float
) -> hd.pr.SoftcopyVOILUTTransformation:
    """Write a sigmoid window out as a VOI LUT over all stored values (PS3.3 C.11.8 allows both).

    dcmtk's presentation states, and so DICOMscope, take every window for a linear one.
    """
    bits = elements.integer(header, "BitsStored") or 16
    values = np.arange(1 << min(max(bits, 1), 16), dtype=np.float64)
    shown = np.rint(65535.0 * apply_window(values, center, width, "SIGMOID")).astype(np.uint16)
    lut = hd.VOILUT(first_mapped_value=0, lut_data=shown, lut_explanation="SIGMOID window")
    return hd.pr.SoftcopyVOILUTTransformation(voi_luts=[lut])


def _first_table(header: Dataset, keyword: str, signed: bool) -> Table | None:
    items = elements.items(header, keyword)
    table = lookup_table(items[0], signed=signed) if items else None
    # highdicom writes the first mapped value as US alone.
    return table if table is not None and 0 <= table.first <= 65535 else None
