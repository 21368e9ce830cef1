"""Is what is served what the framework answers? Compared on the sample before a file is written."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from model_export.adopt.answers import Settled
from model_export.adopt.errors import AdoptError, NotProven
from model_export.adopt.foreign import Predictor, View
from model_export.adopt.graph import exclusive
from model_export.adopt.sample import Sample, breast_of
from model_export.datasets.pages import has_several_pages
from service.imaging.breast import Box
from service.imaging.mammogram import Mammogram
from service.imaging.stitch import LesionMap

CLOSE = 0.01
"""Difference in probability that most pixels of the breast stay within."""

SHARE = 0.999
"""Of the breast's pixels."""

MIN_DICE = 0.99
MASK = 0.5
"""Probability from which a pixel is of the mask that Dice is taken of."""


@dataclass(frozen=True, slots=True)
class Agreement:
    """How far two answers to one view agree, over the breast.

    Attributes
    ----------
    close
        Share of pixels whose probabilities differ by at most `CLOSE`; None where only masks were
        compared.
    dice
        Of the masks at `MASK`; None where both are empty, which proves nothing.
    """

    close: float | None
    dice: float | None

    @property
    def proves(self) -> bool:
        """Whether the answers are the same."""
        if self.close is None:
            return self.dice is not None and self.dice >= MIN_DICE
        return self.close >= SHARE and (self.dice is None or self.dice >= MIN_DICE)

    def __str__(self) -> str:
        parts = [] if self.close is None else [f"{self.close:.2%} of the breast within {CLOSE}"]
        parts += ["no mask in either"] if self.dice is None else [f"Dice {self.dice:.3f}"]
        return ", ".join(parts)


def predicted(predictor: Predictor, view: View, settled: Settled) -> NDArray[np.float32]:
    """Return the framework's probability of a lesion, (rows, columns), at the view's spacing.

    Raises
    ------
    AdoptError
        The framework fails on the view, or answers in another shape.
    """
    try:
        classes = predictor(view)
    except Exception as error:
        first = str(error).strip().splitlines() or [""]
        raise AdoptError(
            f"the framework itself fails on the sample: {type(error).__name__}: {first[0][:200]}. "
            "Take a view of the size that it was trained on, or --expected of your own code."
        ) from error
    if classes.shape[1:] != view.pixels.shape:
        raise AdoptError(f"the framework answers in {classes.shape[1:]}, not {view.pixels.shape}")
    own = classes[list(settled.lesions)]
    joined = own.sum(axis=0) if exclusive(settled) else own.max(axis=0)
    probability: NDArray[np.float32] = np.clip(joined, 0.0, 1.0).astype(np.float32)
    return probability


def agreement(
    served: NDArray[np.float32],
    wanted: NDArray[np.float32],
    breast: NDArray[np.bool_],
    *,
    mask_only: bool = False,
) -> Agreement:
    """Compare two probabilities, (rows, columns), over the breast."""
    close = None
    if not mask_only:
        close = float((np.abs(served - wanted)[breast] <= CLOSE).mean())
    ours, theirs = served[breast] >= MASK, wanted[breast] >= MASK
    total = int(ours.sum()) + int(theirs.sum())
    return Agreement(close, 2 * int((ours & theirs).sum()) / total if total else None)


def served_frame(
    lesion_map: LesionMap, shape: tuple[int, int] | None = None
) -> NDArray[np.float32]:
    """Return a lesion map over the whole frame, on a grid of `shape`, 0 beyond its box.

    Parameters
    ----------
    shape
        (rows, columns); the source's own where None.
    """
    rows, columns = lesion_map.source_shape
    shape = shape or (rows, columns)
    box = lesion_map.box
    whole = lesion_map.sample(Box(0, 0, rows, columns), shape)
    y = (np.arange(shape[0]) + 0.5) * rows / shape[0]
    x = (np.arange(shape[1]) + 0.5) * columns / shape[1]
    whole[(y < box.top) | (y >= box.bottom)] = 0.0
    whole[:, (x < box.left) | (x >= box.right)] = 0.0
    return whole


@dataclass(frozen=True, slots=True, eq=False)
class Expected:
    """What the caller says that the framework answers, on the sample's own pixels.

    Attributes
    ----------
    values
        float32 in [0, 1], shape (rows, columns).
    is_mask
        There are but two values.
    """

    values: NDArray[np.float32]
    is_mask: bool

    @classmethod
    def read(cls, path: Path, sample: Sample) -> "Expected":
        """Read a mask (PNG or NumPy; anything above 0 is lesion) or a probability (NumPy).

        Raises
        ------
        AdoptError
            It cannot be read, is of another size than the sample, or is empty.
        """
        values = _values(path)
        shape = sample.mammogram.pixels.shape
        if values.shape != shape:
            turned = " (it is transposed)" if values.shape == shape[::-1] else ""
            raise AdoptError(
                f"{path.name} has {values.shape} pixels, the sample {shape}{turned}: the mask must "
                "lie on the sample's own pixels"
            )
        levels = np.unique(values)
        is_mask = levels.size <= 2
        if is_mask:
            values = (values > 0).astype(np.float32)
        elif levels[0] < 0 or levels[-1] > 1:
            raise AdoptError(f"{path.name} holds neither a mask nor probabilities")
        if not (values >= MASK).any():
            raise AdoptError(f"{path.name} holds no lesion: an empty mask proves nothing")
        return cls(values.astype(np.float32), is_mask)


def _values(path: Path) -> NDArray[np.float32]:
    try:
        if path.suffix == ".npy":
            stored = np.load(path, allow_pickle=False)
            values: NDArray[np.float32] = np.squeeze(stored).astype(np.float32)
            return values
        if has_several_pages(path):
            raise AdoptError(f"{path.name} holds several pages: one answer is wanted")
        grey = cv2.imdecode(np.frombuffer(path.read_bytes(), np.uint8), cv2.IMREAD_UNCHANGED)
    except (OSError, ValueError) as error:
        raise AdoptError(f"{path.name} cannot be read: {type(error).__name__}") from error
    if grey is None or grey.ndim != 2:
        raise AdoptError(f"{path.name} is no grey picture")
    # A picture of several levels holds probabilities.
    full = np.iinfo(grey.dtype).max
    scaled: NDArray[np.float32] = grey.astype(np.float32) / np.float32(full)
    return scaled


@dataclass(frozen=True, slots=True, eq=False)
class Wanted:
    """The right answer to a mammogram, which what is served is held against.

    Attributes
    ----------
    mammogram
        That is shown.
    values
        Probabilities of a lesion, float32, shape (rows, columns), on the mammogram's pixels.
    breast
        Where they count; bool, of the same shape.
    mask_only
        `values` are a mask.
    who
        Whose answer it is, in words.
    """

    mammogram: Mammogram
    values: NDArray[np.float32]
    breast: NDArray[np.bool_]
    mask_only: bool
    who: str

    @classmethod
    def by_caller(cls, expected: Expected, sample: Sample) -> "Wanted":
        """Return the caller's answer, on the sample's own pixels."""
        shown = sample.mammogram
        breast = breast_of(View(shown.pixels, sample.spacing_mm[0]))
        return cls(shown, expected.values, breast, expected.is_mask, "--expected")

    @classmethod
    def by_framework(
        cls, predictor: Predictor, framework: str, settled: Settled, sample: Sample
    ) -> "Wanted":
        """Return the framework's own answer, at the spacing that the net works at."""
        view = sample.view(settled.spacing_mm)
        side = view.spacing_mm
        shown = replace(sample.mammogram, pixels=view.pixels, pixel_spacing_mm=(side, side))
        return cls(shown, predicted(predictor, view, settled), breast_of(view), False, framework)

    def held_against(self, lesion_map: LesionMap) -> Agreement:
        """Compare an answer to the same mammogram."""
        served = served_frame(lesion_map)
        return agreement(served, self.values, self.breast, mask_only=self.mask_only)


def refusal(found: Agreement, who: str, hints: Sequence[str]) -> NotProven:
    """Return what is raised of answers that are not the same, with what may be wrong."""
    said = "".join(f"\n  - {hint}" for hint in hints)
    return NotProven(
        f"what would be served is not what {who} says: {found} (needed: {SHARE:.1%} within "
        f"{CLOSE}, Dice {MIN_DICE}). Nothing was written.{said}"
    )
