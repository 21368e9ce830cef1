"""Exports in tiles so small that a test has time for them."""

from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from model_export.export import run as exporting

SIDE = 128


@contextmanager
def small_tiles() -> Iterator[pytest.MonkeyPatch]:
    """Let `export` write files of tiles of 128 x 128 while in the context."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(exporting, "receptive_field", lambda _: 633)  # counted in its own test
        patch.setattr(exporting, "TILE_SIZE", SIDE)
        patch.setattr(exporting, "STRIDE", 96)
        patch.setattr(exporting, "NARROWER", ((SIDE, 64),))
        yield patch
