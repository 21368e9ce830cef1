"""Exports in tiles so small that a test has time for them."""

from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from model_export.export import run as exporting
from model_export.export.tile_shapes import TileShapes

SIDE = 128


@contextmanager
def small_tiles() -> Iterator[pytest.MonkeyPatch]:
    """Let `export` write files of tiles of 128 x 128 while in the context."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(exporting, "receptive_field", lambda _: 633)  # counted in its own test
        small = TileShapes(tile_size=SIDE, narrower=((SIDE, 64),), stride=96)
        patch.setattr(exporting, "tile_shapes", lambda _: small)
        yield patch
