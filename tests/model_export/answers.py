"""Answers of the service, made by hand."""

import numpy as np
from numpy.typing import NDArray

from model_export.datasets import Sample
from model_export.evaluation import Examined
from model_export.phantom import breast_phantom
from service.findings import Findings, HasMask, ModelIdentity
from service.imaging.breast import Box
from service.imaging.regions import Region
from service.imaging.stitch import LesionMap


def examined(
    source: str,
    patient: str,
    has_lesion: bool,
    score: float,
    *,
    dice: float | None = None,
    dice_brightest: float | None = None,
    lesion_share: float = 0.0,
) -> Examined:
    """Give a result as `examine` would."""
    return Examined(
        source=source,
        patient=patient,
        name=f"{patient}-{score}",
        has_lesion=has_lesion,
        score=score,
        dice=dice,
        dice_brightest=dice_brightest,
        lesion_share=lesion_share,
    )


def lesion_sample() -> Sample:
    """Give a phantom with a square lesion."""
    pixels = breast_phantom(128).astype(np.uint16) * np.uint16(257)
    lesion = np.zeros((128, 128), np.bool_)
    lesion[40:60, 20:40] = True
    return Sample("cdd-cesm", "a", "1", pixels, (0.4, 0.4), True, "pixel_mask", lesion)


def finding(sample: Sample, mask: NDArray[np.bool_], score: float) -> Findings:
    """Give findings with this mask as the one region, if it is not empty."""
    rows, columns = mask.shape
    region = Region(
        box=Box(0, 0, rows, columns),
        pixels=mask,
        centroid=(0.0, 0.0),
        contour=(),
        max_probability=0.9,
        mean_probability=0.8,
        selected=True,
    )
    return Findings(
        model=ModelIdentity("x", "0.0.0", ""),
        mammogram=sample.to_mammogram(),
        has_mask=HasMask(score, 0.5),
        lesion_map=LesionMap(mask.astype(np.float32), Box(0, 0, rows, columns), mask.shape),
        regions=(region,) if mask.any() else (),
        mask=mask,
        gated=False,
        breast_pixels=1.0,
        caveats=(),
        timing_ms={},
    )
