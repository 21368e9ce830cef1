from pathlib import Path

import pytest

from model_export.ablation.table import merged, read
from model_export.cli import CONFIGS
from model_export.config import MaskTerms

pytestmark = pytest.mark.integration

BASE = f'base = "{CONFIGS / "small.toml"}"\n'


def write(folder: Path, text: str) -> Path:
    path = folder / "table.toml"
    path.write_text(BASE + text)
    return path


@pytest.mark.parametrize("path", sorted(CONFIGS.glob("ablations/*.toml")), ids=lambda one: one.stem)
def test_every_table_in_the_package_is_valid(path: Path) -> None:
    trials = read(path)
    assert len({trial.name for trial in trials}) == len(trials)
    # Rows are compared after the same number of steps, each at its own config.
    assert len({trial.config.steps for trial in trials}) == 1
    of_first_seed = [
        trial.config.model_copy(update={"name": ""}) for trial in trials if trial.seed == 1
    ]
    assert all(one not in of_first_seed[:place] for place, one in enumerate(of_first_seed))


def test_a_row_is_the_base_with_what_it_changes(tmp_path: Path) -> None:
    text = """
    [common]
    steps_per_epoch = 7
    [[rows]]
    name = "plain"
    [[rows]]
    name = "dice"
    seeds = [4, 5]
    overrides.losses.mask = { dice = 2, bce = 0 }
    """
    plain, fourth, fifth = read(write(tmp_path, text))
    assert [one.name for one in (plain, fourth, fifth)] == ["plain-1", "dice-4", "dice-5"]
    assert plain.config.name == "mammoseg-small-plain"
    assert plain.config.steps_per_epoch == fourth.config.steps_per_epoch == 7
    assert plain.config.losses.mask == MaskTerms()
    assert fourth.config.losses.mask == MaskTerms(bce=0, dice=2)
    assert (fourth.config.seed, fifth.config.seed) == (4, 5)
    same = {"seed": 4}
    assert fifth.config.model_copy(update=same) == fourth.config


def test_tables_merge_and_another_kind_replaces() -> None:
    base = {"a": {"x": 1, "y": 2}, "net": {"kind": "lite", "pretrained": True}, "list": [1, 2]}
    changes = {"a": {"y": 3}, "net": {"kind": "unet"}, "list": [3]}
    assert merged(base, changes) == {"a": {"x": 1, "y": 3}, "net": {"kind": "unet"}, "list": [3]}
    assert merged(base, {"net": {"kind": "lite", "skips": "none"}})["net"] == {
        "kind": "lite",
        "pretrained": True,
        "skips": "none",
    }
    assert base["a"] == {"x": 1, "y": 2}


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ('[[rows]]\nname = "a"\n[[rows]]\nname = "a"', "two rows have one name"),
        ('[[rows]]\nname = "a/b"', "pattern"),
        ('[[rows]]\nname = "a"\noverrides.learning_rat = 1', "learning_rat"),
        ('[[rows]]\nname = "a"\nseeds = []', "seeds"),
    ],
)
def test_a_table_that_is_wrong_is_refused(tmp_path: Path, text: str, complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint):
        read(write(tmp_path, text))
