import numpy as np
import pytest

from model_export.sampling.artefacts import _dust, _scratch, _strip, add_film_artefact, add_patch

pytestmark = pytest.mark.unit


def grey(rows: int = 64, columns: int = 96) -> np.ndarray:
    return np.full((rows, columns), 0.5, np.float32)


def changed(tile: np.ndarray) -> np.ndarray:
    return tile != np.float32(0.5)


@pytest.mark.parametrize("seed", range(8))
def test_a_patch_is_bright_and_touches_the_border(seed: int) -> None:
    tile = grey()
    add_patch(tile, 1.25, np.random.default_rng(seed))
    patch = changed(tile)
    assert patch[0].any() or patch[-1].any() or patch[:, 0].any() or patch[:, -1].any()
    assert tile[patch].min() >= np.float32(0.6 * 1.25)


@pytest.mark.parametrize("seed", range(8))
def test_scratches_are_thin(seed: int) -> None:
    tile = grey()
    _scratch(tile, 1.25, np.random.default_rng(seed))
    assert tile.min() >= 0.0 and tile.max() <= 1.25
    # At most three lines of at most the longer side, smoothed over three pixels.
    assert 0 < changed(tile).sum() <= 3 * 3 * 110


@pytest.mark.parametrize("seed", range(8))
def test_dust_is_small_and_bright(seed: int) -> None:
    tile = grey()
    _dust(tile, 1.25, np.random.default_rng(seed))
    assert 3 <= changed(tile).sum() <= 15 * 9
    assert tile[changed(tile)].min() >= np.float32(1.0)


@pytest.mark.parametrize("seed", range(8))
def test_a_strip_runs_along_one_whole_side(seed: int) -> None:
    tile = grey()
    _strip(tile, 1.25, np.random.default_rng(seed))
    strip = changed(tile)
    rows, columns = strip.all(axis=1).sum(), strip.all(axis=0).sum()
    assert (1 <= rows <= 3 and columns == 0) or (1 <= columns <= 4 and rows == 0)
    assert strip.sum() == rows * 96 + columns * 64


def test_every_kind_of_film_artefact_is_drawn() -> None:
    sizes = set()
    for seed in range(20):
        tile = grey()
        add_film_artefact(tile, 1.25, np.random.default_rng(seed))
        sizes.add(int(changed(tile).sum()))
    assert len(sizes) > 10 and 0 not in sizes
