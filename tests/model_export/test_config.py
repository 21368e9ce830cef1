from pathlib import Path

import pytest
from pydantic import ValidationError

from model_export.cli import CONFIGS
from model_export.config import TrainingConfig
from tests.model_export.tiny import tiny_config

pytestmark = pytest.mark.unit


@pytest.mark.parametrize("path", sorted(CONFIGS.glob("*.toml")), ids=lambda path: path.stem)
def test_every_config_in_the_package_is_valid(path: Path) -> None:
    config = TrainingConfig.read(path)
    assert config.sources == ("cdd-cesm", "mini-mias", "rsna-640")


def test_phases_follow_each_other() -> None:
    first = tiny_config(epochs=3).phases[0]
    second, last = (first.model_copy(update={"epochs": epochs}) for epochs in (2, 1))
    config = tiny_config().model_copy(update={"phases": (first, second, last)})
    assert (config.epochs, config.steps) == (6, 18)
    lengths = [config.phase_of(epoch).epochs for epoch in range(8)]
    assert lengths == [3, 3, 3, 2, 2, 1, 1, 1]


def test_an_unknown_key_is_refused(tmp_path: Path) -> None:
    text = (CONFIGS / "small.toml").read_text()
    path = tmp_path / "typo.toml"
    path.write_text("learning_rat = 1\n" + text)
    with pytest.raises(ValidationError, match="learning_rat"):
        TrainingConfig.read(path)


def test_a_config_survives_the_run_folder() -> None:
    config = tiny_config()
    assert TrainingConfig.model_validate_json(config.model_dump_json()) == config
