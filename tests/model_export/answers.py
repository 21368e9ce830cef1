"""Answers of the service, made by hand."""

import numpy as np
from numpy.typing import NDArray

from model_export.datasets import Sample
from model_export.datasets.sample import Annotation
from model_export.evaluation import Evaluation, ImageResult, Options
from model_export.evaluation.contrast import FACTORS
from model_export.evaluation.figures import figures
from model_export.evaluation.image_result import Lesion, OutlineResult
from model_export.evaluation.strata import strata
from model_export.froc import Candidates
from model_export.phantom import breast_phantom
from service.findings import Findings, HasMask, ModelIdentity
from service.imaging.breast import find_breast
from service.imaging.regions import Region
from service.imaging.stitch import LesionMap
from tests.identity_net import identity_contract

THRESHOLD = 0.5

HIT, MISS = frozenset({0}), frozenset[int]()
NOTHING = Candidates((), (), 0)


def image_result(
    source: str, patient: str, has_lesion: bool | None, score: float, **known: object
) -> ImageResult:
    """Return a result as `compare` would, told by a label alone unless `known` says more."""
    if known.get("outlined") is not None:
        known = {"annotation": "pixel_mask" if has_lesion else "normal"} | known
    return ImageResult(source, patient, f"{patient}-{score}", has_lesion, score, **known)  # type: ignore[arg-type]


def positive(
    dice: float,
    *,
    baseline: float = 0.3,
    share: float = 0.01,
    mark: float | None = 0.9,
    diameter_mm: float = 12.0,
) -> OutlineResult:
    """Return one lesion, hit by one region of that score, or by none."""
    marks = () if mark is None else (mark,)
    return OutlineResult(
        candidates=Candidates(marks, (HIT,) * len(marks), 1),
        blobs=Candidates((0.2, 0.1), (MISS, HIT), 1),
        lesions=(Lesion(share, diameter_mm, 20.0),),
        share=share,
        dice=dice,
        dice_gated=dice,
        dice_brightest=baseline,
        mask_hits=mark is not None,
    )


def normal(*marks: float) -> OutlineResult:
    """Return a normal with false positives of these scores."""
    return OutlineResult(Candidates(marks, (MISS,) * len(marks), 0), NOTHING)


def three_sources() -> list[ImageResult]:
    """Return CDD-CESM positives, mini-MIAS of both classes, RSNA labels, and an unknown view."""
    cdd = [
        image_result(
            "cdd-cesm",
            f"P{number // 2}",
            True,
            0.5 + 0.05 * number,
            view="CC" if number % 2 else "MLO",
            outlined=positive(0.1 * number, share=0.02 * number),
            contrast={0.67: (0.5, 0.1), 1.5: (0.6, 0.2), 2.0: (0.7, 0.3)},
            tile_scores=(0.4, 0.6),
            correlation=0.2,
        )
        for number in range(1, 7)
    ]
    mias = [
        image_result(
            "mini-mias",
            str(number),
            number % 2 == 0,
            0.1 * number,
            probe=0.5 + 0.01 * number,
            density="D" if number < 4 else "F",
            outlined=normal(0.6) if number % 2 else positive(0.5, mark=0.1 * number),
            contrast=dict.fromkeys(FACTORS, (0.3, None if number % 2 else 0.4)),
        )
        for number in range(8)
    ]
    rsna = [image_result("rsna-640", str(n // 2), n > 5, 0.08 * n, probe=0.3) for n in range(10)]
    return [*cdd, *mias, *rsna, image_result("views", "a", None, 0.3, marks=(0.4,))]


def evaluation(images: list[ImageResult] | None = None, **changes: object) -> Evaluation:
    """Return an evaluation of these images, or of `three_sources`, by the identity net."""
    images = three_sources() if images is None else images
    fields: dict[str, object] = {
        "model": ModelIdentity("identity", "0.0.1", "0" * 64),
        "contract": identity_contract(),
        "options": Options(),
        "images": tuple(images),
        "figures": figures(images, THRESHOLD),
        "strata": strata(images),
        "cases": [],
        "refused": {},
        "seconds": 1.0,
    }
    return Evaluation(**(fields | changes))  # type: ignore[arg-type]


def lesion_sample(*, has_lesion: bool = True, side: int = 128) -> Sample:
    """Return a phantom with a square lesion, or a normal one."""
    pixels = breast_phantom(side).astype(np.uint16) * np.uint16(257)
    lesion = np.zeros((side, side), np.bool_)
    lesion[40:60, 20:40] = has_lesion
    kind: Annotation = "pixel_mask" if has_lesion else "normal"
    return Sample("cdd-cesm", "a", "1", pixels, (0.4, 0.4), has_lesion, kind, lesion)


def finding(sample: Sample, mask: NDArray[np.bool_], score: float) -> Findings:
    """Return findings with this mask as the one region, if it is not empty; 0.4 mm a map pixel."""
    breast = find_breast(sample.pixels)
    box = breast.box
    probability = mask[box.top : box.bottom, box.left : box.right].astype(np.float32)
    region = Region(
        box=type(box)(0, 0, *mask.shape),
        pixels=mask,
        centroid=(0.0, 0.0),
        contour=((20, 40), (39, 40), (39, 59), (20, 59)),
        max_probability=0.9,
        mean_probability=0.8,
        selected=True,
    )
    return Findings(
        model=ModelIdentity("x", "0.0.0", ""),
        mammogram=sample.to_mammogram(),
        has_mask=HasMask(score, THRESHOLD, (score,)),
        lesion_map=LesionMap(probability, box, (mask.shape[0], mask.shape[1])),
        regions=(region,) if mask.any() else (),
        mask=mask,
        gated=False,
        breast_pixels=float(breast.area_pixels((mask.shape[0], mask.shape[1]))),
        caveats=(),
        timing_ms={},
    )
