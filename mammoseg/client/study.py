"""The answer for the images of one study, typed."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from mammoseg.client.errors import Problem
from mammoseg.client.results import Laterality, ResultWarning, SegmentationResult


@dataclass(frozen=True, slots=True)
class View:
    """One view, the mean of its images' scores, and their indices in the study."""

    laterality: Laterality | None
    view_position: str | None
    score: float
    images: tuple[int, ...]

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> "View":
        """Read a `ViewPart`."""
        return cls(
            document["laterality"],
            document["view_position"],
            float(document["score"]),
            tuple(document["images"]),
        )


@dataclass(frozen=True, slots=True)
class Breast:
    """One breast, and the mean of its views' scores."""

    laterality: Laterality
    score: float
    views: tuple[View, ...]

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> "Breast":
        """Read a `BreastPart`."""
        views = tuple(View.from_json(view) for view in document["views"])
        return cls(document["laterality"], float(document["score"]), views)


@dataclass(frozen=True, slots=True, eq=False)
class StudyEntry:
    """What came of one image of a study: a result or a problem; the other is None."""

    index: int
    result: SegmentationResult | None
    problem: Problem | None

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> "StudyEntry":
        """Read a `StudyEntry`."""
        result, problem = document["result"], document["problem"]
        if (result is None) == (problem is None):
            raise ValueError("neither result nor problem, or both")
        return cls(
            int(document["index"]),
            None if result is None else SegmentationResult.from_json(result),
            None if problem is None else Problem.from_json(problem),
        )


@dataclass(frozen=True, slots=True, eq=False)
class Study:
    """The answer for the images of one study. Research use only: not a medical device.

    Attributes
    ----------
    rule
        How scores are combined: "mean-of-views".
    score
        None when no image was judged; no threshold applies to it.
    missing_views
        Of RCC, LCC, RMLO and LMLO.
    images
        One entry an image, in the order in which they were sent.
    """

    rule: str
    score: float | None
    breasts: tuple[Breast, ...]
    views_of_unknown_side: tuple[View, ...]
    missing_views: tuple[str, ...]
    images: tuple[StudyEntry, ...]
    warnings: tuple[ResultWarning, ...]
    document: Mapping[str, Any]

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> "Study":
        """Read a `StudyResult`."""
        study = document["study"]
        return cls(
            study["rule"],
            study["score"],
            tuple(Breast.from_json(breast) for breast in study["breasts"]),
            tuple(View.from_json(view) for view in study["views_of_unknown_side"]),
            tuple(study["missing_views"]),
            tuple(StudyEntry.from_json(entry) for entry in document["images"]),
            tuple(ResultWarning.from_json(warning) for warning in document["warnings"]),
            document,
        )
