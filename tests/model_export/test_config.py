from pathlib import Path

import pytest
from pydantic import ValidationError
from torch import nn

from model_export.cli import CONFIGS
from model_export.config import MaskTerms, PosWeight, TrainingConfig
from model_export.datasets import READERS
from model_export.export.terms import ATTRIBUTION, licence
from model_export.networks import LiteOptions, build
from model_export.training.freezing import freeze
from tests.model_export.tiny import tiny_config

pytestmark = pytest.mark.integration


@pytest.mark.parametrize("path", sorted(CONFIGS.glob("*.toml")), ids=lambda path: path.stem)
def test_every_config_in_the_package_is_valid(path: Path) -> None:
    assert set(TrainingConfig.read(path).sources) <= set(READERS)


def test_the_default_learns_from_nothing_that_forbids_to_use_its_weights() -> None:
    sources = TrainingConfig.read(CONFIGS / "lite.toml").sources
    assert set(sources) <= set(ATTRIBUTION)
    assert "commercially too" in licence(sources)


def test_the_default_freezes_edges_and_depthwise_kernels_and_nothing_else() -> None:
    config = TrainingConfig.read(CONFIGS / "lite.toml")
    assert isinstance(config.network, LiteOptions)
    net = build(config.network.model_copy(update={"pretrained": False}))
    freeze(net, config.train_only)
    for name, parameter in net.named_parameters():
        early = name.startswith("encoder.stem.") or any(
            name.startswith(f"encoder.blocks.{number}.") for number in (0, 1, 2)
        )
        kernel = isinstance(net.get_submodule(name.rpartition(".")[0]), nn.Conv2d)
        depthwise = kernel and name.startswith("encoder.") and parameter.shape[1] == 1
        assert parameter.requires_grad == (not early and not depthwise), name


def test_phases_follow_each_other() -> None:
    first = tiny_config(epochs=3).phases[0]
    second, last = (first.model_copy(update={"epochs": epochs}) for epochs in (2, 1))
    config = tiny_config().model_copy(update={"phases": (first, second, last)})
    assert (config.epochs, config.steps) == (6, 18)
    lengths = [config.phase_of(epoch).epochs for epoch in range(8)]
    assert lengths == [3, 3, 3, 2, 2, 1, 1, 1]


def test_a_phase_may_have_streams_and_terms_of_its_own() -> None:
    config = tiny_config()
    own = config.phases[0].streams[:1]
    bce = MaskTerms(iou_batch=0.0, iou_tile=0.0)
    plain = config.phases[0].model_copy(update={"epochs": 1, "streams": ()})
    special = plain.model_copy(update={"streams": own, "mask": bce})
    update = {"streams": config.phases[0].streams, "phases": (plain, special)}
    config = config.model_copy(update=update)
    assert config.streams_of(0) == config.streams
    assert config.streams_of(1) == own
    assert config.mask_terms_of(0) == config.losses.mask
    assert config.mask_terms_of(1) == bce


def test_every_phase_needs_streams_and_every_loss_a_term() -> None:
    values = tiny_config().model_dump()
    values["phases"][0]["streams"] = ()
    with pytest.raises(ValidationError, match="needs streams"):
        TrainingConfig.model_validate(values)
    with pytest.raises(ValidationError, match="at least one term"):
        MaskTerms(bce=0, iou_batch=0, iou_tile=0)


def test_the_weight_of_lesion_pixels_changes_linearly() -> None:
    schedule = PosWeight(start=9.0, end=1.0)
    assert [schedule.at(done) for done in (0.0, 0.25, 1.0)] == [9.0, 7.0, 1.0]
    assert PosWeight().at(0.5) == 3.0


def test_an_unknown_key_is_refused(tmp_path: Path) -> None:
    text = (CONFIGS / "small.toml").read_text()
    path = tmp_path / "typo.toml"
    path.write_text("learning_rat = 1\n" + text)
    with pytest.raises(ValidationError, match="learning_rat"):
        TrainingConfig.read(path)


def test_a_config_survives_the_run_folder() -> None:
    config = tiny_config()
    assert TrainingConfig.model_validate_json(config.model_dump_json()) == config
