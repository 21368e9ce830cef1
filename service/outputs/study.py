"""Scores of a study's images -> one score a view, a breast, and the study.

One rule, `mean-of-views`, because it is the one that evaluation measures (patient AUC, the function
`patient_auc` in model_export/evaluation/figures.py): the score of a view is the mean of its
images', of a breast the mean of its views', of the study the mean of all its views'. Repeats of a
view thus weigh no more than one. An image whose side or view is unknown is a view of its own, and
so is a spot, magnification or other special one, which stands for no view of the screening. No yes
or no is given: thresholds were chosen for single images.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from service.imaging.mammogram import Laterality

RULE: Literal["mean-of-views"] = "mean-of-views"

STANDARD_VIEWS: tuple[tuple[Laterality, str], ...] = (
    ("R", "CC"),
    ("L", "CC"),
    ("R", "MLO"),
    ("L", "MLO"),
)
"""Of a screening examination, in the order of hanging."""


@dataclass(frozen=True, slots=True)
class ImageScore:
    """One image's part in its study.

    Attributes
    ----------
    index
        Of its entry in the answer.
    laterality, view_position
        None when unknown.
    score
        Has-mask score.
    is_special
        A spot, magnification or other view that no screening has.
    """

    index: int
    laterality: Laterality | None
    view_position: str | None
    score: float
    is_special: bool = False


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True)


class ViewPart(_Part):
    """One view, and the mean of its images' scores."""

    laterality: Laterality | None
    view_position: str | None
    score: float
    images: list[int] = Field(description="Indices of the entries it comes from.")


class BreastPart(_Part):
    """One breast, and the mean of its views' scores."""

    laterality: Laterality
    score: float
    views: list[ViewPart]


class StudyPart(_Part):
    """The study: the mean of all its views' scores. No threshold applies to it."""

    rule: Literal["mean-of-views"] = RULE
    score: float | None = Field(description="Null when no image was judged.")
    breasts: list[BreastPart]
    views_of_unknown_side: list[ViewPart]
    images: list[int] = Field(description="Indices of the entries it comes from.")
    missing_views: list[str] = Field(description="Of RCC, LCC, RMLO and LMLO.")


def combine(images: Sequence[ImageScore]) -> StudyPart:
    """Combine the images of one study by `RULE`."""
    views = _views(images)
    sides: tuple[Laterality, ...] = ("R", "L")
    of_side = {side: [view for view in views if view.laterality == side] for side in sides}
    seen = {(one.laterality, one.view_position) for one in images if not one.is_special}
    return StudyPart(
        score=_mean([view.score for view in views]) if views else None,
        breasts=[
            BreastPart(laterality=side, score=_mean([view.score for view in own]), views=own)
            for side, own in of_side.items()
            if own
        ],
        views_of_unknown_side=[view for view in views if view.laterality is None],
        images=[image.index for image in images],
        missing_views=["".join(view) for view in STANDARD_VIEWS if view not in seen],
    )


def _views(images: Sequence[ImageScore]) -> list[ViewPart]:
    groups: dict[tuple[object, ...], list[ImageScore]] = {}
    for image in images:
        is_placed = (
            image.laterality is not None
            and image.view_position is not None
            and not image.is_special
        )
        own = (image.laterality, image.view_position, None if is_placed else image.index)
        groups.setdefault(own, []).append(image)
    return [
        ViewPart(
            laterality=group[0].laterality,
            view_position=group[0].view_position,
            score=_mean([image.score for image in group]),
            images=[image.index for image in group],
        )
        for group in groups.values()
    ]


def _mean(scores: Sequence[float]) -> float:
    return round(sum(scores) / len(scores), 6)
