import hashlib
import json
from pathlib import Path

import pytest
import torch

from model_export.training.checkpoints import averaged_weights
from model_export.training.soup import average, mean_of
from tests.model_export.tiny import tiny_config

pytestmark = pytest.mark.unit


def member(run: Path, weight: float, start: str | None = "one") -> Path:
    """Make a run folder whose net is one number and one count."""
    (run / "checkpoints").mkdir(parents=True)
    (run / "config.json").write_text(tiny_config().model_dump_json())
    if start is not None:
        (run / "start.json").write_text(json.dumps({"sha256": start}))
    weights = {"net.weight": torch.tensor([weight]), "net.count": torch.tensor(int(weight))}
    torch.save({"state_dict": weights}, run / "checkpoints" / "best.ckpt")
    return run


def test_weights_are_averaged_and_counts_kept(tmp_path: Path) -> None:
    runs = [member(tmp_path / str(value), value) for value in (1.0, 4.0)]
    config = average(runs, "best", tmp_path / "out")
    mean = averaged_weights(tmp_path / "out" / "checkpoints" / "best.ckpt")
    assert mean["weight"].tolist() == [2.5] and int(mean["count"]) == 1
    assert config == tiny_config()


def test_the_folder_names_its_members(tmp_path: Path) -> None:
    runs = [member(tmp_path / str(value), value) for value in (1.0, 4.0)]
    average(runs, "best", tmp_path / "out")
    members = json.loads((tmp_path / "out" / "members.json").read_text())
    first = runs[0] / "checkpoints" / "best.ckpt"
    assert members[str(first)] == hashlib.sha256(first.read_bytes()).hexdigest()
    assert len(members) == 2


def test_the_start_itself_may_be_a_member(tmp_path: Path) -> None:
    first = member(tmp_path / "1", 1.0, start=None)
    digest = hashlib.sha256((first / "checkpoints" / "best.ckpt").read_bytes()).hexdigest()
    average([first, member(tmp_path / "2", 2.0, digest)], "best", tmp_path / "out")
    mean = averaged_weights(tmp_path / "out" / "checkpoints" / "best.ckpt")
    assert mean["weight"].tolist() == [1.5]


@pytest.mark.parametrize("start", ["another", None])
def test_runs_of_different_starts_are_not_averaged(tmp_path: Path, start: str | None) -> None:
    runs = [member(tmp_path / "1", 1.0), member(tmp_path / "2", 2.0, start)]
    with pytest.raises(ValueError, match="started from one checkpoint"):
        average(runs, "best", tmp_path / "out")


def test_different_nets_are_not_averaged() -> None:
    with pytest.raises(ValueError, match="different nets"):
        mean_of([{"weight": torch.zeros(1)}, {"weight": torch.zeros(2)}])
