"""Things in a picture that are no tissue: markers, scratches, dust, the white edge of a film."""

import cv2
import numpy as np
from numpy.typing import NDArray

Tile = NDArray[np.float32]


def add_patch(tile: Tile, maximum: float, rng: np.random.Generator) -> None:
    """Draw, in place, a bright ellipse that runs off the border, as markers and folds do."""
    rows, columns = tile.shape
    along = int(rng.integers(0, max(rows, columns)))
    corner = (along % columns, 0) if rng.random() < 0.5 else (0, along % rows)
    axes = (int(rng.integers(4, max(5, columns // 5))), int(rng.integers(4, max(5, rows // 5))))
    brightness = float(rng.uniform(0.6, 1.0) * maximum)
    cv2.ellipse(tile, corner, axes, float(rng.uniform(0, 180)), 0, 360, brightness, cv2.FILLED)


def add_film_artefact(tile: Tile, maximum: float, rng: np.random.Generator) -> None:
    """Draw, in place, scratches, dust or a white strip along one side, each as often."""
    (_scratch, _dust, _strip)[int(rng.integers(3))](tile, maximum, rng)


def _scratch(tile: Tile, maximum: float, rng: np.random.Generator) -> None:
    """One to three thin lines, nearly parallel to a side, bright or dark, thinner than tissue."""
    rows, columns = tile.shape
    for _ in range(int(rng.integers(1, 4))):
        row, column = rng.uniform(0, rows), rng.uniform(0, columns)
        length = rng.uniform(0.1, 1.0) * max(rows, columns)
        angle = rng.normal(0.0, 0.1) + (np.pi / 2 if rng.random() < 0.5 else 0.0)
        end = (round(column + length * np.cos(angle)), round(row + length * np.sin(angle)))
        brightness = float(maximum if rng.random() < 0.7 else 0.0)
        cv2.line(tile, (round(column), round(row)), end, brightness, 1, cv2.LINE_AA)


def _dust(tile: Tile, maximum: float, rng: np.random.Generator) -> None:
    """Three to fifteen specks of one to four pixels."""
    rows, columns = tile.shape
    for _ in range(int(rng.integers(3, 16))):
        centre = (int(rng.integers(columns)), int(rng.integers(rows)))
        brightness = float(rng.uniform(0.8, 1.0) * maximum)
        cv2.circle(tile, centre, int(rng.integers(0, 2)), brightness, cv2.FILLED)


def _strip(tile: Tile, maximum: float, rng: np.random.Generator) -> None:
    """Draw a band along one side, as wide as a twentieth of the tile at most."""
    side, width = int(rng.integers(4)), int(rng.integers(1, max(2, min(tile.shape) // 20)))
    turned = np.rot90(tile, side)
    turned[:width] = rng.uniform(0.8, 1.0) * maximum
