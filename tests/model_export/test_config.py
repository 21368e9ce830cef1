from pathlib import Path

import pytest
from pydantic import ValidationError
from torch import nn

from model_export.cli import CONFIGS
from model_export.config import MaskTerms, PosWeight, Stream, TrainingConfig
from model_export.config_file import changed_config, read_config
from model_export.datasets import READERS
from model_export.export.terms import ATTRIBUTION, licence
from model_export.networks import LiteOptions, build
from model_export.training.freezing import freeze
from service.inference.contract import Contract
from tests.model_export.tiny import tiny_config

pytestmark = pytest.mark.integration


@pytest.mark.parametrize("path", sorted(CONFIGS.glob("*.toml")), ids=lambda path: path.stem)
def test_every_config_in_the_package_is_valid(path: Path) -> None:
    assert set(read_config(path).sources) <= set(READERS)


def test_the_default_learns_from_nothing_that_forbids_to_use_its_weights() -> None:
    sources = read_config(CONFIGS / "lite.toml").sources
    assert set(sources) <= set(ATTRIBUTION)
    assert "commercially too" in licence(sources)


def test_the_default_freezes_edges_and_depthwise_kernels_and_nothing_else() -> None:
    config = read_config(CONFIGS / "lite.toml")
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


SHORT = """
name = "short"
working_mm = 0.8
steps_per_epoch = 1
learning_rate = 1e-3
weight_decay = 0.0
network.kind = "small"
phases = [{ epochs = 1 }]
streams = [{ rows = 64, columns = 64, mix = { own = 1 } }]
"""


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("learning_rat = 1", r"typo\.toml: learning_rat: Extra inputs are not permitted$"),
        ("seed = -1", r"typo\.toml: seed: .* greater than or equal to 0"),
        ("seed = 4294967296", r"seed: .* less than"),
        ("encoder_rate = inf", r"encoder_rate: .* finite"),
        ('train_only = "("', r"train_only: no regular expression: missing \)"),
        ("augmentation.rotation_degrees = -20", r"augmentation\.rotation_degrees: .* 0"),
        ("augmentation.exposure_probability = 70", r"augmentation\.exposure_probability: .* 1"),
        ("augmentation.blur_probability = nan", r"augmentation\.blur_probability: .* finite"),
        ("augmentation.exposure = [2.1, 0.6]", r"augmentation: exposure is the least"),
        ("augmentation.exposure = [0, 2]", r"augmentation\.exposure\.0: .* greater than 0"),
        ("augmentation.noise = -1", r"augmentation\.noise: .* 0"),
        ("name =", r"typo\.toml is no TOML"),
    ],
)
def test_a_key_that_makes_no_sense_is_refused_in_words(
    line: str, message: str, tmp_path: Path
) -> None:
    path = tmp_path / "typo.toml"
    path.write_text(f"{line}\n{SHORT}")
    with pytest.raises(ValueError, match=message) as found:
        read_config(path)
    assert "pydantic" not in str(found.value)


@pytest.mark.parametrize("name", ["My Net", "", "net\n"])
def test_a_name_that_no_file_may_have_is_refused_before_the_training(name: str) -> None:
    with pytest.raises(ValueError, match="name: String should match"):
        changed_config(tiny_config(), {"name": name})
    pattern = Contract.model_fields["name"].metadata[0].pattern
    assert pattern == TrainingConfig.model_fields["name"].metadata[0].pattern


def test_a_stream_draws_something_and_what_it_does_not_draw_is_no_source() -> None:
    with pytest.raises(ValueError, match="must take an image"):
        Stream(rows=64, columns=64, mix={"own": 0})
    stream = Stream(rows=64, columns=64, mix={"own": 0, "mini-mias": 1})
    phase = tiny_config().phases[0].model_copy(update={"streams": (stream,)})
    assert tiny_config().model_copy(update={"phases": (phase,)}).sources == ("mini-mias",)


def test_a_config_survives_the_run_folder() -> None:
    config = tiny_config()
    assert TrainingConfig.model_validate_json(config.model_dump_json()) == config
