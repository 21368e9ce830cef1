"""Findings -> the JSON document of one image; its schema is the one in openapi.yaml."""

import base64
from collections.abc import Collection
from typing import Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from service.findings import Findings, label_of
from service.imaging.regions import Region
from service.outputs.png import heatmap_png, mask_png, overlay_png
from service.outputs.rle import coco_rle

Render = Literal["mask", "heatmap", "overlay"]


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True)


class ModelPart(_Part):
    """Which model answered."""

    id: str = Field(description="What `?model=` calls it: its file's name without the ending.")
    name: str
    version: str
    sha256: str


class ImagePart(_Part):
    """What was read; no patient data beyond the instance's own UID."""

    sop_instance_uid: str | None
    rows: int
    columns: int
    frame: int | None = Field(
        description="Number of the frame or page that was asked for, from 1 on."
    )
    pixel_spacing_mm: tuple[float, float] | None = Field(
        description="Between (row, column) centres; null when unknown."
    )
    laterality: Literal["L", "R"] | None
    view_position: str | None
    intent: Literal["presentation", "processing", "film", "unstated"]


class HasMaskPart(_Part):
    """Is an annotated or suspicious lesion present, benign or malignant?"""

    score: float = Field(
        description="Ranks images, from 0 to 1: higher is more suspicious to this net. It is no "
        "probability."
    )
    threshold: float
    chosen_for_sensitivity: float | None = Field(
        description="Share of validation images with lesions that the threshold was chosen to "
        "find; null where it was chosen otherwise."
    )
    decision: bool


class MaskPart(_Part):
    """The selected regions on the source's own pixels; COCO's uncompressed RLE."""

    encoding: Literal["coco_rle"] = "coco_rle"
    size: tuple[int, int] = Field(description="(rows, columns)")
    counts: list[int] = Field(description="Run lengths, column-major, zeros first.")
    area_mm2: float | None
    fraction_of_breast: float
    gated: bool = Field(description="True when emptied because the has-mask decision is no.")


class ProbabilityMapPart(_Part):
    """Where the forms `probability` and `activation` lie: maps of the breast's box.

    A pixel of the source at (x, y) has the value that the map has, by bilinear interpolation, at
    ((x - bbox.x + 0.5) * size.columns / bbox.width - 0.5, ...); the outermost values continue.
    """

    bbox: tuple[int, int, int, int] = Field(
        description="x, y, width, height in source pixels; no lesion is sought beyond."
    )
    size: tuple[int, int] = Field(description="(rows, columns) of the map")
    minimum_region_pixels: float = Field(
        description="Smallest area of a region of the mask, in source pixels."
    )


class RegionPart(_Part):
    """One candidate, in source pixels: x = column, y = row, origin top left."""

    bbox: tuple[int, int, int, int] = Field(description="x, y, width, height")
    centroid: tuple[float, float]
    contour: list[tuple[int, int]]
    area_mm2: float | None
    max_probability: float
    mean_probability: float
    selected: bool = Field(description="True when the ungated mask contains it.")
    label: str | None = Field(
        description="Class of the lesion, of a model that tells several apart; null of others."
    )


class RendersPart(_Part):
    """PNG pictures, base64; those that `include` asked for."""

    mask: str | None = None
    heatmap: str | None = None
    overlay: str | None = None


class WarningPart(_Part):
    """Something that was assumed or looks odd."""

    code: str
    detail: str


class SegmentationResult(_Part):
    """The answer for one image. Research use only: not a medical device."""

    model: ModelPart
    image: ImagePart
    has_mask: HasMaskPart
    mask: MaskPart
    regions: list[RegionPart]
    probability_map: ProbabilityMapPart
    renders: RendersPart
    warnings: list[WarningPart]
    timing_ms: dict[str, float]


def result_of(findings: Findings, include: Collection[Render], max_side: int) -> SegmentationResult:
    """Build the document.

    Parameters
    ----------
    findings
        What was found.
    include
        Renders to embed as base64 PNG.
    max_side
        Longest side of heatmap and overlay, in pixels; the mask is always on the source grid.
    """
    mammogram = findings.mammogram
    spacing = mammogram.pixel_spacing_mm
    pixel_mm2 = None if spacing is None else spacing[0] * spacing[1]
    return SegmentationResult(
        model=ModelPart(
            id=findings.model.id,
            name=findings.model.name,
            version=findings.model.version,
            sha256=findings.model.sha256,
        ),
        image=ImagePart(
            sop_instance_uid=mammogram.sop_instance_uid,
            rows=mammogram.rows,
            columns=mammogram.columns,
            frame=mammogram.frame,
            pixel_spacing_mm=spacing,
            laterality=mammogram.laterality,
            view_position=mammogram.view_position,
            intent=mammogram.intent,
        ),
        has_mask=HasMaskPart(
            score=findings.has_mask.score,
            threshold=findings.has_mask.threshold,
            chosen_for_sensitivity=findings.has_mask.sensitivity,
            decision=findings.has_mask.decision,
        ),
        mask=_mask_part(findings, pixel_mm2),
        regions=[_region_part(region, pixel_mm2, findings) for region in findings.regions],
        probability_map=_map_part(findings),
        renders=_renders(findings, include, max_side),
        warnings=[WarningPart(code=each.code, detail=each.detail) for each in findings.caveats],
        timing_ms=findings.timing_ms,
    )


def _mask_part(findings: Findings, pixel_mm2: float | None) -> MaskPart:
    rows, columns = findings.mask.shape
    drawn = [] if findings.gated else [one.box for one in findings.regions if one.selected]
    # A full frame takes longer to look through than all regions together.
    left = min((box.left for box in drawn), default=0)
    right = max((box.right for box in drawn), default=0)
    area = int(np.count_nonzero(findings.mask[:, left:right]))
    return MaskPart(
        size=(rows, columns),
        counts=coco_rle(findings.mask, (left, right)),
        area_mm2=_area(area, pixel_mm2),
        fraction_of_breast=round(min(1.0, area / max(findings.breast_pixels, 1.0)), 6),
        gated=findings.gated,
    )


def _map_part(findings: Findings) -> ProbabilityMapPart:
    box, (rows, columns) = findings.lesion_map.box, findings.lesion_map.probability.shape
    return ProbabilityMapPart(
        bbox=(box.left, box.top, box.columns, box.rows),
        size=(rows, columns),
        minimum_region_pixels=round(findings.minimum_region_pixels, 3),
    )


def _region_part(region: Region, pixel_mm2: float | None, findings: Findings) -> RegionPart:
    box, label = region.box, label_of(region, findings.model)
    return RegionPart(
        bbox=(box.left, box.top, box.columns, box.rows),
        centroid=(round(region.centroid[0], 2), round(region.centroid[1], 2)),
        contour=list(region.contour),
        area_mm2=_area(region.area_pixels, pixel_mm2),
        max_probability=round(region.max_probability, 6),
        mean_probability=round(region.mean_probability, 6),
        selected=region.selected,
        label=None if label is None else label.name,
    )


def _area(pixels: int, pixel_mm2: float | None) -> float | None:
    return None if pixel_mm2 is None else round(pixels * pixel_mm2, 2)


def _renders(findings: Findings, include: Collection[Render], max_side: int) -> RendersPart:
    pictures: dict[str, bytes] = {}
    if "mask" in include:
        pictures["mask"] = mask_png(findings)
    if "heatmap" in include:
        pictures["heatmap"] = heatmap_png(findings, max_side)
    if "overlay" in include:
        pictures["overlay"] = overlay_png(findings, max_side)
    encoded = {kind: base64.b64encode(png).decode("ascii") for kind, png in pictures.items()}
    return RendersPart(**encoded)
