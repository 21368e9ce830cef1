from dataclasses import replace

import numpy as np
import pytest
import torch

from model_export.config import Sampling, Stream, TrainingConfig
from model_export.sampling.batches import CropBatches
from model_export.sampling.probed import tiles_as_sampled
from tests.model_export.samples import bright_half, packed, packed_all
from tests.model_export.tiny import tiny_config

pytestmark = pytest.mark.unit


def test_a_batch_follows_from_seed_epoch_and_step_alone() -> None:
    config = tiny_config()
    one, again = CropBatches(packed_all(), config, 1), CropBatches(packed_all(), config, 1)
    _ = one[0]  # what was drawn before must not matter
    for left, right in zip(one[2], again[2], strict=True):
        assert torch.equal(left, right)
    assert not torch.equal(one[1].tiles, CropBatches(packed_all(), config, 0)[1].tiles)
    assert not torch.equal(one[0].tiles, one[2].tiles)


def test_streams_take_turns_and_every_source_is_in_each_batch() -> None:
    batches = CropBatches(packed_all(), tiny_config(), 0)
    assert len(batches) == 3
    assert batches[0].tiles.shape == (5, 1, 64, 64)
    assert batches[1].tiles.shape == (5, 1, 96, 64)
    # CDD-CESM and mini-MIAS are drawn, RSNA is not.
    assert batches[0].lesion.shape == (4, 1, 64, 64)
    assert batches[0].lesion_weight.shape == (4,)


def test_drawn_crops_come_first_whatever_the_order_of_sources() -> None:
    stream = Stream(rows=96, columns=96, mix={"rsna-640": 9, "mini-mias": 8}, whole=True)
    config = tiny_config()
    phase = config.phases[0].model_copy(update={"streams": (stream,)})
    batch = CropBatches(packed_all(), config.model_copy(update={"phases": (phase,)}), 0)[0]
    assert len(batch.lesion) == 8
    # A whole breast of mini-MIAS is labelled by its mask; RSNA negatives count half.
    assert batch.label[:8].tolist() == (batch.lesion.flatten(1).sum(1) > 0).float().tolist()
    assert batch.label_weight[:8].tolist() == [1.0] * 8
    weak = [1.0 if label else 0.5 for label in batch.label[8:].tolist()]
    assert batch.label_weight[8:].tolist() == weak


def test_tiles_are_in_range_and_masks_whole() -> None:
    batches = CropBatches(packed_all(), tiny_config(), 0)
    for step in range(3):
        batch = batches[step]
        assert batch.tiles.dtype == torch.float32
        assert float(batch.tiles.min()) >= 0.0
        assert float(batch.tiles.max()) <= 1.25
        assert set(batch.lesion.unique().tolist()) <= {0.0, 1.0}


def labels(source: str, *, whole: bool) -> set[tuple[float, float]]:
    """Return every (label, weight) that a source's crops get."""
    stream = Stream(rows=96, columns=96, mix={source: 8}, whole=whole)
    config = tiny_config()
    phase = config.phases[0].model_copy(update={"streams": (stream,)})
    batches = CropBatches(packed_all(), config.model_copy(update={"phases": (phase,)}), 0)
    pairs = set()
    for step in range(3):
        batch = batches[step]
        values = zip(batch.label.tolist(), batch.label_weight.tolist(), strict=True)
        pairs |= {(label, round(weight, 3)) for label, weight in values}
    return pairs


def test_a_source_without_negatives_does_not_teach_the_image_label() -> None:
    assert {weight for _, weight in labels("cdd-cesm", whole=True)} == {0.0}


def test_weak_labels_count_less_in_crops_and_no_cancer_counts_less_than_cancer() -> None:
    assert labels("rsna-640", whole=True) == {(1.0, 1.0), (0.0, 0.5)}
    assert labels("rsna-640", whole=False) == {(1.0, 0.3), (0.0, 0.15)}


def test_weak_labels_can_be_less_than_certain() -> None:
    config = tiny_config()
    losses = config.losses.model_copy(update={"weak_smoothing": 0.2})
    batch = CropBatches(packed_all(), config.model_copy(update={"losses": losses}), 0)[1]
    assert set(batch.label[:4].tolist()) <= {0.0, 1.0}
    assert batch.label[4].item() in (pytest.approx(0.1), pytest.approx(0.9))


def test_drawn_sources_are_labelled_by_what_the_crop_shows() -> None:
    assert labels("mini-mias", whole=True) == {(1.0, 1.0), (0.0, 1.0)}


def test_crops_centre_on_lesions_near_misses_and_background() -> None:
    stream = Stream(rows=32, columns=32, mix={"cdd-cesm": 60})
    config = tiny_config()
    phase = config.phases[0].model_copy(update={"streams": (stream,)})
    samples = [packed("cdd-cesm", "a", has_lesion=True)]
    batch = CropBatches(samples, config.model_copy(update={"phases": (phase,)}), 0)[0]
    seen = batch.lesion.flatten(1).sum(1).numpy()
    assert 0.4 < float(np.mean(seen > 60)) < 0.9
    assert float(np.mean(seen == 0)) > 0.1


def test_diffuse_outlines_count_less() -> None:
    config = tiny_config()
    losses = config.losses.model_copy(update={"diffuse_from": 0.001})
    batches = CropBatches(packed_all(), config.model_copy(update={"losses": losses}), 0)
    weights = batches[0].lesion_weight
    assert weights.min() == pytest.approx(losses.diffuse_weight)
    assert weights.max() <= 1.0


def test_circles_count_less() -> None:
    config = tiny_config()
    losses = config.losses.model_copy(update={"circle_weight": 0.5, "diffuse_from": 0.99})
    config = config.model_copy(update={"losses": losses})
    circles = [replace(one, annotation="circle") for one in packed_all()]
    assert set(CropBatches(packed_all(), config, 0)[0].lesion_weight.tolist()) == {1.0}
    assert set(CropBatches(circles, config, 0)[0].lesion_weight.tolist()) == {0.5}


def only_crops(mix: dict[str, int], *, matched: bool) -> TrainingConfig:
    """Return a config with a single stream of crops."""
    config = tiny_config()
    stream = Stream(rows=64, columns=64, mix=mix)
    phase = config.phases[0].model_copy(update={"streams": (stream,)})
    update = {"phases": (phase,), "sampling": Sampling(matched_negatives=matched)}
    return config.model_copy(update=update)


BRIGHT = [bright_half(f"{seed}", seed) for seed in range(6)]


def test_matched_crops_of_a_source_without_normals_teach_both_labels() -> None:
    batch = CropBatches(BRIGHT, only_crops({"cdd-cesm": 60}, matched=True), 0)[0]
    taught = batch.label[batch.label_weight > 0]
    assert 0.0 < taught.mean() < 1.0
    # Their labels are true.
    seen = (batch.lesion.flatten(1).sum(1) >= 30).float()
    assert torch.equal(batch.label, seen)
    batch = CropBatches(BRIGHT, only_crops({"cdd-cesm": 60}, matched=False), 0)[0]
    assert set(batch.label_weight.tolist()) == {0.0}


def test_the_leak_probe_gets_the_drawn_crops_that_teach() -> None:
    config = only_crops({"cdd-cesm": 3, "rsna-640": 3}, matched=True)
    weak = [one for one in packed_all() if one.source == "rsna-640"]
    tiles, labels, sources, patients = tiles_as_sampled([*BRIGHT, *weak], config, 40)
    assert tiles.shape == (40, 64, 64) and tiles.dtype == np.float32
    assert labels.dtype == np.bool_ and 0 < labels.sum() < 40
    assert sources == ["cdd-cesm"] * 40
    assert set(patients) == {one.patient for one in BRIGHT}
    again = tiles_as_sampled([*BRIGHT, *weak], config, 40)
    np.testing.assert_array_equal(tiles, again[0])


def test_a_leak_probe_needs_crops_that_teach() -> None:
    config = only_crops({"cdd-cesm": 3}, matched=False)
    with pytest.raises(ValueError, match="no crop teaches"):
        tiles_as_sampled(BRIGHT, config, 10)
    whole = Stream(rows=64, columns=64, mix={"cdd-cesm": 1}, whole=True)
    phase = config.phases[0].model_copy(update={"streams": (whole,)})
    with pytest.raises(ValueError, match="no stream of crops"):
        tiles_as_sampled(BRIGHT, config.model_copy(update={"phases": (phase,)}), 10)
