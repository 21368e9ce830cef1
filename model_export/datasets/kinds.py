"""The kinds of annotation as people write them."""

from collections import Counter
from collections.abc import Iterable

from model_export.datasets.sample import Annotation

KINDS: dict[Annotation, str] = {
    "pixel_mask": "drawn outline",
    "pseudo_outline": "pseudo-outline",
    "circle": "circle",
    "box": "box",
    "normal": "normal",
    "image_label": "yes or no",
}

NOT_DRAWN = (
    "Pseudo-outlines were drawn by a net that was given a box, circles are filled, and of a box "
    "the inscribed ellipse is taken: Dice against these is not Dice against outlines that people "
    "drew."
)


def kind_name(annotation: str) -> str:
    """Return an annotation's name as people write it."""
    return {str(kind): name for kind, name in KINDS.items()}.get(annotation, annotation)


def counted(annotations: Iterable[str]) -> str:
    """Return the names with how often each occurs, the most frequent first: "box (3)"."""
    counts = Counter(kind_name(one) for one in annotations).most_common()
    return ", ".join(f"{name} ({count})" for name, count in counts)
