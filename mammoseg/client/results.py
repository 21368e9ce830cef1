"""What the service answers, typed: the schemas of openapi.yaml, the mask as an array."""

import base64
import io
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image as Pillow

from mammoseg.client.mask import mask_of

Laterality = Literal["L", "R"]


@dataclass(frozen=True, slots=True)
class Model:
    """Which model answered; `sha256` of its file, hexadecimal; `id` is its name in the service."""

    name: str
    version: str
    sha256: str
    id: str

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> "Model":
        """Read a `ModelPart`."""
        return cls(document["name"], document["version"], document["sha256"], document["id"])


@dataclass(frozen=True, slots=True)
class Image:
    """What was read.

    Attributes
    ----------
    sop_instance_uid
        None where the image has none.
    rows, columns
        Pixels.
    frame
        Number of the frame or page that was asked for, from 1 on; None for an only one.
    pixel_spacing_mm
        Between (row, column) centres; None when unknown.
    laterality, view_position
        None when unknown.
    intent
        "presentation", "processing", "film" or "unstated".
    """

    sop_instance_uid: str | None
    rows: int
    columns: int
    frame: int | None
    pixel_spacing_mm: tuple[float, float] | None
    laterality: Laterality | None
    view_position: str | None
    intent: str

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> "Image":
        """Read an `ImagePart`."""
        spacing = document["pixel_spacing_mm"]
        return cls(
            document["sop_instance_uid"],
            int(document["rows"]),
            int(document["columns"]),
            document["frame"],
            None if spacing is None else (float(spacing[0]), float(spacing[1])),
            document["laterality"],
            document["view_position"],
            document["intent"],
        )


@dataclass(frozen=True, slots=True)
class HasMask:
    """Is an annotated or suspicious lesion present, benign or malignant?

    Attributes
    ----------
    score
        Ranks images, from 0 to 1: higher is more suspicious to this net. It is no probability.
    threshold
        From which on `decision` is yes.
    chosen_for_sensitivity
        Share of validation images with lesions that it was chosen to find; None where it was chosen
        otherwise.
    decision
        Whether the score reaches the threshold.
    """

    score: float
    threshold: float
    chosen_for_sensitivity: float | None
    decision: bool

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> "HasMask":
        """Read a `HasMaskPart`."""
        return cls(
            float(document["score"]),
            float(document["threshold"]),
            document["chosen_for_sensitivity"],
            bool(document["decision"]),
        )


@dataclass(frozen=True, slots=True)
class Region:
    """One candidate, in pixels of the image: x = column, y = row, origin top left.

    Attributes
    ----------
    bbox
        x, y, width, height.
    centroid
        x, y.
    contour
        x, y of each corner.
    area_mm2
        None where the image has no pixel spacing.
    max_probability, mean_probability
        0 to 1.
    selected
        Whether the ungated mask contains it.
    label
        Name of its class, where the model tells classes apart; None where it does not, and of a
        service that is older than classes.
    """

    bbox: tuple[int, int, int, int]
    centroid: tuple[float, float]
    contour: tuple[tuple[int, int], ...]
    area_mm2: float | None
    max_probability: float
    mean_probability: float
    selected: bool
    label: str | None = None

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> "Region":
        """Read a `RegionPart`."""
        x, y, width, height = document["bbox"]
        centre_x, centre_y = document["centroid"]
        return cls(
            (x, y, width, height),
            (float(centre_x), float(centre_y)),
            tuple((int(x), int(y)) for x, y in document["contour"]),
            document["area_mm2"],
            float(document["max_probability"]),
            float(document["mean_probability"]),
            bool(document["selected"]),
            document.get("label"),
        )


@dataclass(frozen=True, slots=True)
class ProbabilityMap:
    """Where the forms `probability` and `activation` lie in the image.

    Attributes
    ----------
    bbox
        x, y, width, height in pixels of the image.
    size
        (rows, columns) of the map over it.
    minimum_region_pixels
        Smallest area of a region of the mask, in pixels of the image.
    """

    bbox: tuple[int, int, int, int]
    size: tuple[int, int]
    minimum_region_pixels: float

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> "ProbabilityMap":
        """Read a `ProbabilityMapPart`."""
        x, y, width, height = document["bbox"]
        rows, columns = document["size"]
        return cls((x, y, width, height), (rows, columns), float(document["minimum_region_pixels"]))


@dataclass(frozen=True, slots=True)
class ResultWarning:
    """Something that was assumed or looks odd; `code` is stable, `detail` for people."""

    code: str
    detail: str

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> "ResultWarning":
        """Read a `WarningPart`."""
        return cls(document["code"], document["detail"])


@dataclass(frozen=True, slots=True, eq=False)
class SegmentationResult:
    """The answer for one image. Research use only: not a medical device.

    Attributes
    ----------
    mask
        bool, shape (rows, columns) of the image: the selected regions; empty where `gated`.
    mask_area_mm2
        None where the image has no pixel spacing.
    fraction_of_breast
        Of the mask, 0 to 1.
    gated
        True where the mask was emptied because the has-mask decision is no.
    regions
        Every candidate, the most probable first, gated or not.
    renders
        PNG files by name, "mask", "heatmap", "overlay": those that `include` asked for.
    timing_ms
        Milliseconds by stage.
    document
        The JSON as it came.
    probability_map
        None of a service that is older than it.
    """

    model: Model
    image: Image
    has_mask: HasMask
    mask: NDArray[np.bool_]
    mask_area_mm2: float | None
    fraction_of_breast: float
    gated: bool
    regions: tuple[Region, ...]
    renders: Mapping[str, bytes]
    warnings: tuple[ResultWarning, ...]
    timing_ms: Mapping[str, float]
    document: Mapping[str, Any]
    probability_map: ProbabilityMap | None = None

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> "SegmentationResult":
        """Read a `SegmentationResult`."""
        mask, area = document["mask"], document.get("probability_map")
        renders = {name: png for name, png in document["renders"].items() if png is not None}
        return cls(
            Model.from_json(document["model"]),
            Image.from_json(document["image"]),
            HasMask.from_json(document["has_mask"]),
            mask_of(mask),
            mask["area_mm2"],
            float(mask["fraction_of_breast"]),
            bool(mask["gated"]),
            tuple(Region.from_json(region) for region in document["regions"]),
            {name: base64.b64decode(png, validate=True) for name, png in renders.items()},
            tuple(ResultWarning.from_json(warning) for warning in document["warnings"]),
            dict(document["timing_ms"]),
            document,
            None if area is None else ProbabilityMap.from_json(area),
        )

    def mask_png(self) -> bytes:
        """Return the mask as a 1-bit PNG of the image's rows and columns; 1 is lesion."""
        buffer = io.BytesIO()
        Pillow.fromarray(self.mask).save(buffer, "PNG")
        return buffer.getvalue()

    def save_mask(self, path: str | os.PathLike[str]) -> None:
        """Write `mask_png` to a file."""
        Path(path).write_bytes(self.mask_png())
