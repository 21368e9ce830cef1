"""Images as the audit has looked at them, without any file."""

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from model_export.audit.survey import ImageSurvey, look_at
from model_export.datasets.sample import Sample
from model_export.phantom import breast_phantom


def pixels(seed: int, side: int = 200) -> NDArray[np.uint16]:
    """Return a phantom of a breast of its own form, which the phantom's texture alone has not."""
    turned = np.rot90(breast_phantom(side, seed=seed), seed)
    return np.ascontiguousarray(turned).astype(np.uint16) * np.uint16(257)


def looked_at(
    name: str, image: NDArray[np.uint16], *, has_lesion: bool = False, **changes: Any
) -> ImageSurvey:
    """Return an image of its own patient, on the train side, with some of its fields changed."""
    sample = Sample(
        source="set",
        name=name,
        patient=changes.pop("patient", name),
        pixels=image,
        pixel_spacing_mm=(0.2, 0.2),
        has_lesion=has_lesion,
        annotation="image_label",
    )
    return replace(look_at(sample), **{"split": "train", **changes})
