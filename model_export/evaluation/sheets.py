"""The best and the worst cases of a source, one sheet of pictures each."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import cv2
import numpy as np
from numpy.typing import NDArray

from model_export.evaluation.choices import outlined
from model_export.evaluation.extremes import Extremes
from model_export.evaluation.image_result import ImageResult
from model_export.evaluation.pictures import contours
from service.findings import Findings

Kind = Literal["best", "worst"]

KEPT = 24
"""Cases a sheet."""

COLUMNS = 6

SIDE = 280
"""Of a picture's longer side, in pixels."""

TITLE = 40
"""Height of the two lines above a picture, in pixels."""

INK, PAPER = (235, 230, 225), (28, 20, 16)

Drawn = tuple[ImageResult, NDArray[np.uint8]]
"""An image and its picture."""


@dataclass(frozen=True, slots=True)
class Sheet:
    """Cases of one source in one picture: `png` holds the file, `images` what it shows."""

    source: str
    kind: Kind
    images: tuple[ImageResult, ...]
    png: bytes


def margin(image: ImageResult) -> float | None:
    """Return by how much the lesions stand out of the false positives, in [-1, 1].

    Score of the best region on the lesion (0 for a miss; the least of several lesions) less the
    score of the strongest false positive (0 for none). None for an image without outlined lesion.
    """
    if image.dice is None:
        return None
    candidates = outlined(image).candidates
    found = min((max(0.0, score) for score in candidates.best_scores()), default=0.0)
    marks = zip(candidates.scores, candidates.hits, strict=True)
    return found - max((score for score, hits in marks if not hits), default=0.0)


class Sheets:
    """Keeps the best and the worst of each source; memory is bounded whatever passes by."""

    def __init__(self) -> None:
        self._kept = Extremes[Kind, Drawn]()

    def offer(
        self, image: ImageResult, findings: Findings, lesion: NDArray[np.bool_] | None
    ) -> None:
        """Draw an image if it is among the best or the worst so far."""
        value = margin(image)
        if value is None:
            return
        ranks: dict[Kind, float] = {"best": value, "worst": -value}
        for kind, rank in ranks.items():
            self._kept.offer(
                (image.source, kind),
                rank,
                KEPT,
                lambda: (image, contours(findings, lesion, SIDE)),
            )

    def sheets(self) -> list[Sheet]:
        """Return one sheet of each kind and source, the most extreme case first."""
        made = []
        for (source, kind), cases in self._kept.ranked():
            tiles = [_tile(image, drawn) for image, drawn in cases]
            images = tuple(image for image, _ in cases)
            made.append(Sheet(source, kind, images, _png(tiles)))
        return made


def _tile(image: ImageResult, drawn: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return a picture below its name and figures."""
    tile = np.full((SIDE + TITLE, SIDE, 3), PAPER, np.uint8)
    left = (SIDE - drawn.shape[1]) // 2
    tile[TITLE : TITLE + drawn.shape[0], left : left + drawn.shape[1]] = drawn
    stands, overlap = margin(image) or 0.0, image.dice or 0.0
    figures = f"score {image.score:.2f}  margin {stands:+.2f}  Dice {overlap:.2f}"
    for line, text in enumerate((image.name, figures)):
        origin = (4, 15 + 17 * line)
        cv2.putText(tile, text, origin, cv2.FONT_HERSHEY_SIMPLEX, 0.38, INK, 1, cv2.LINE_AA)
    return tile


def _png(tiles: Sequence[NDArray[np.uint8]]) -> bytes:
    blank = np.full_like(tiles[0], PAPER)
    padded = [*tiles, *[blank] * (-len(tiles) % COLUMNS)]
    rows = [np.hstack(padded[start : start + COLUMNS]) for start in range(0, len(padded), COLUMNS)]
    _, encoded = cv2.imencode(".png", np.vstack(rows), [cv2.IMWRITE_PNG_COMPRESSION, 9])
    return bytes(encoded)
