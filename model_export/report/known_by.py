"""What the lesions of each source are known by: what a Dice was measured against."""

from collections.abc import Sequence

from model_export.datasets.kinds import counted
from model_export.evaluation.choices import by_source
from model_export.evaluation.image_result import ImageResult


def known_by(images: Sequence[ImageResult]) -> dict[str, str]:
    """Return for each source how its lesions are known, and of how many images: "box (3)"."""
    positives = [image for image in images if image.has_lesion]
    return {
        source: counted(image.annotation for image in own)
        for source, own in by_source(positives).items()
    }
