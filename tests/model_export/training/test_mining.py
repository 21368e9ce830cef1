from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from model_export.config import Phase
from model_export.sampling.batches import CropBatches
from model_export.sampling.placement import FalsePositive
from model_export.training.mining import mine, mined_once
from tests.model_export.samples import packed_all
from tests.model_export.tiny import tiny_config
from tests.model_export.training.test_validation import Bright

pytestmark = pytest.mark.unit

NAME = "with a false positive"


def samples() -> list[object]:
    """Return an image with a bright lesion, and beside it as bright a spot that is none."""
    sample = next(one for one in packed_all() if one.lesion is not None and one.has_lesion)
    pixels = np.full((160, 128), 40, np.uint8)
    lesion = np.zeros_like(pixels)
    lesion[30:50, 30:50] = 1
    pixels[lesion == 1] = 230
    pixels[100:110, 70:84] = 230
    return [
        replace(
            sample,
            name=NAME,
            pixels=pixels,
            lesion=lesion,
            breast=np.ones_like(pixels),
            lesion_fraction=0.02,
        )
    ]


def test_what_is_no_lesion_and_is_taken_for_one_is_found() -> None:
    (found,) = mine(Bright().eval(), samples(), 1.25, "32-true")  # type: ignore[arg-type]
    assert found.name == NAME
    assert 100 <= found.row < 110 and 70 <= found.column < 84
    assert found.score > 0.9


def test_a_part_of_the_crops_is_centred_on_them() -> None:
    (sample,) = samples()
    stream = tiny_config().phases[0].streams[0].model_copy(update={"mix": {sample.source: 1}})  # type: ignore[attr-defined]
    config = tiny_config()
    sampling = config.sampling.model_copy(update={"hard": 0.5, "matched_negatives": False})
    config = config.model_copy(
        update={"sampling": sampling, "phases": (Phase(epochs=1, streams=(stream,)),)}
    )
    place = FalsePositive(sample.source, NAME, 105, 77, 0.9)  # type: ignore[attr-defined]
    rng = np.random.default_rng(0)
    batches = CropBatches([sample], config, 0, false_positives=[place])  # type: ignore[list-item]
    placed = [batches._place(sample.source, stream, rng) for _ in range(200)]  # type: ignore[attr-defined]
    near = [
        one
        for one in placed
        if abs(one.view.centre[0] - 105) <= 32 and abs(one.view.centre[1] - 77) <= 32
    ]
    assert 80 <= len(near) <= 160
    without = CropBatches([sample], config, 0)  # type: ignore[list-item]
    first = without[0]
    assert torch.equal(first.tiles, CropBatches([sample], config, 0, false_positives=())[0].tiles)  # type: ignore[list-item]


def test_they_are_looked_for_once_and_a_resumed_run_reads_them(tmp_path: Path) -> None:
    mined = [FalsePositive("cdd-cesm", "one", 3, 4, 0.5)]
    path = tmp_path / "mined-0.json"
    assert mined_once(path, lambda: mined) == mined
    assert mined_once(path, lambda: pytest.fail("mined again")) == mined


def test_a_phase_that_mines_counts_from_its_first_epoch_on() -> None:
    phases = (Phase(epochs=2), Phase(epochs=1, mine=True), Phase(epochs=3))
    config = tiny_config()
    config = config.model_copy(update={"phases": phases, "streams": config.phases[0].streams})
    assert [config.mined_in(epoch) for epoch in range(6)] == [None, None, 1, 1, 1, 1]
