"""One answer of the service against the truth."""

import cv2
import numpy as np
from numpy.typing import NDArray

from model_export.audit.brightness import brightness
from model_export.baselines import blobs, breast_mask, brightest_mask
from model_export.datasets import Sample
from model_export.detection import Detections, ScoredBox, match_boxes
from model_export.evaluation.image_result import ImageResult, Lesion, OutlineResult
from model_export.metrics import Lesions, Mark, dice, match_marks
from service.findings import Findings
from service.imaging.breast import Breast
from service.imaging.pixel_size import spacing_or_assumed
from service.imaging.resample import WorkingImage, breast_on_working_grid
from service.inference.contract import Contract

MIN_LESION_MM2 = 1.0
"""Smaller pieces of an outline are slips of the pen or of a resampling, and no lesion: nobody can
be asked to find a lone pixel. Where an image has nothing larger, its largest piece is the lesion
all the same: somebody says that there is one."""


def compare(sample: Sample, findings: Findings, contract: Contract) -> ImageResult:
    """Compare one ungated answer with what is known of the image."""
    breast, working = _working(findings, contract)
    return ImageResult(
        source=sample.source,
        patient=sample.patient,
        name=sample.name,
        has_lesion=sample.has_lesion,
        annotation=sample.annotation,
        view=sample.view_position,
        laterality=sample.laterality,
        density=sample.density,
        manufacturer=sample.manufacturer,
        pathology=sample.pathology,
        score=findings.has_mask.score,
        tile_scores=findings.has_mask.tile_scores,
        marks=_scores(findings),
        selected=_selected(findings),
        mask_share=_mask_share(findings),
        correlation=_correlation(findings, working, sample),
        brightness=tuple(brightness(sample.pixels).tolist()),
        outlined=_outlined(sample, findings, breast, working, contract),
    )


def look(source: str, patient: str, name: str, findings: Findings) -> ImageResult:
    """Return the result of an image whose truth is not known."""
    return ImageResult(
        source=source,
        patient=patient,
        name=name,
        has_lesion=None,
        annotation="none",
        view=findings.mammogram.view_position,
        laterality=findings.mammogram.laterality,
        score=findings.has_mask.score,
        tile_scores=findings.has_mask.tile_scores,
        marks=_scores(findings),
        selected=_selected(findings),
        mask_share=_mask_share(findings),
    )


def _working(findings: Findings, contract: Contract) -> tuple[Breast, WorkingImage]:
    """Return what the net saw, made by the code that serves."""
    mammogram = findings.mammogram
    spacing_mm, _ = spacing_or_assumed(mammogram, contract.spacing.assumed_long_side_mm)
    return breast_on_working_grid(
        mammogram,
        source_spacing_mm=spacing_mm,
        working_mm=contract.spacing.working_mm,
        normalisation=contract.normalisation,
    )


def _scores(findings: Findings) -> tuple[float, ...]:
    return tuple(region.max_probability for region in findings.regions)


def _selected(findings: Findings) -> int:
    return sum(region.selected for region in findings.regions)


def _mask_share(findings: Findings) -> float:
    return min(1.0, float(findings.mask.sum()) / max(findings.breast_pixels, 1.0))


def _correlation(findings: Findings, working: WorkingImage, sample: Sample) -> float | None:
    """Correlate map and input over the breast outside lesions; None if lesions may be anywhere."""
    if sample.lesion is None and sample.has_lesion:
        return None
    probability = findings.lesion_map.probability
    outside = working.breast.copy()
    if sample.lesion is not None:
        box = working.box
        crop = sample.lesion[box.top : box.bottom, box.left : box.right].astype(np.uint8)
        rows, columns = probability.shape
        # Any touch of a lesion keeps a pixel out.
        outside &= cv2.resize(crop * 255, (columns, rows), interpolation=cv2.INTER_AREA) == 0
    values, seen = probability[outside], working.pixels[outside]
    if values.size < 2 or values.std() == 0 or seen.std() == 0:
        return None
    return float(np.corrcoef(values, seen)[0, 1])


def _outlined(
    sample: Sample, findings: Findings, breast: Breast, working: WorkingImage, contract: Contract
) -> OutlineResult | None:
    if sample.lesion is None:
        return None
    lesions = _lesions(sample.lesion, sample.pixel_spacing_mm)
    marks = [
        Mark(region.max_probability, region.box.top, region.box.left, region.pixels)
        for region in findings.regions
    ]
    candidates = match_marks(marks, lesions)
    blobs_found = match_marks(blobs(working, contract.spacing.working_mm), lesions)
    boxes = _boxes(sample, findings, lesions)
    if not sample.has_lesion:
        return OutlineResult(candidates, blobs_found, boxes=boxes)
    overlap = dice(findings.mask, sample.lesion)
    return OutlineResult(
        candidates=candidates,
        blobs=blobs_found,
        lesions=_facts(lesions, breast_mask(breast, sample.lesion.shape), sample),
        share=float(sample.lesion.mean()),
        dice=overlap,
        dice_gated=overlap if findings.has_mask.decision else 0.0,
        dice_brightest=dice(brightest_mask(sample.pixels, breast), sample.lesion),
        mask_hits=any(
            region.selected and hits
            for region, hits in zip(findings.regions, candidates.hits, strict=True)
        ),
        boxes=boxes,
    )


def _lesions(mask: NDArray[np.bool_], spacing_mm: tuple[float, float]) -> Lesions:
    lesions = Lesions.of(mask, MIN_LESION_MM2 / (spacing_mm[0] * spacing_mm[1]))
    if len(lesions.areas) or not mask.any():
        return lesions
    return Lesions.of(mask, float(Lesions.of(mask).areas.max()))


def _boxes(sample: Sample, findings: Findings, lesions: Lesions) -> Detections:
    """Match boxes with those of the source, or with those around the outlines where it has none."""
    found = [
        ScoredBox(
            region.max_probability,
            region.box.left,
            region.box.top,
            region.box.columns,
            region.box.rows,
        )
        for region in findings.regions
    ]
    return match_boxes(found, sample.boxes or lesions.boxes())


def _facts(lesions: Lesions, breast: NDArray[np.bool_], sample: Sample) -> tuple[Lesion, ...]:
    row_mm, column_mm = sample.pixel_spacing_mm
    # One step of the coarse grid is a millimetre; beyond the frame there is no breast.
    shape = (
        max(1, round(breast.shape[0] * row_mm)),
        max(1, round(breast.shape[1] * column_mm)),
    )
    coarse = cv2.resize(breast.astype(np.uint8), shape[::-1], interpolation=cv2.INTER_NEAREST)
    padded = cv2.copyMakeBorder(coarse, 1, 1, 1, 1, cv2.BORDER_CONSTANT, value=0)
    depth = cv2.distanceTransform(padded, cv2.DIST_L2, cv2.DIST_MASK_PRECISE)[1:-1, 1:-1]
    facts = []
    for index, area in enumerate(lesions.areas):
        rows, columns = np.nonzero(lesions.labels == index + 1)
        coarse_rows = rows * shape[0] // breast.shape[0]
        coarse_columns = columns * shape[1] // breast.shape[1]
        facts.append(
            Lesion(
                share=float(area) / breast.size,
                diameter_mm=float(2 * np.sqrt(area * row_mm * column_mm / np.pi)),
                border_mm=float(depth[coarse_rows, coarse_columns].min()),
            )
        )
    return tuple(facts)
