import json
import re
import signal
from collections import defaultdict
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import lightning
import pytest
import torch

from model_export.config import Phase, PosWeight, Stream, TrainingConfig
from model_export.config_file import stored_config
from model_export.datasets import read_source
from model_export.networks import SmallOptions, UnetOptions, build
from model_export.sampling.batches import CropBatches
from model_export.training import curves
from model_export.training.lineage import lineage_of
from model_export.training.run import Batches, train
from model_export.training.run_folder import begin, git_state
from model_export.training.stopping import Terminated
from model_export.training.task import SegmentationTask
from tests.model_export.samples import packed_all, write_all, write_cdd_cesm
from tests.model_export.tiny import tiny_config

pytestmark = [
    pytest.mark.integration,
    # Lightning's own housekeeping, none of it ours to mend.
    pytest.mark.filterwarnings("ignore::DeprecationWarning:lightning"),
    pytest.mark.filterwarnings("ignore:.*treespec:FutureWarning"),
    pytest.mark.filterwarnings("ignore:Checkpoint directory:UserWarning"),
    pytest.mark.filterwarnings("ignore:The number of training batches:UserWarning"),
    pytest.mark.filterwarnings("ignore:The '.*_dataloader' does not have many workers:UserWarning"),
]


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_all(tmp_path_factory.mktemp("data"))


@pytest.fixture(scope="module")
def packed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("packed")


@pytest.fixture(autouse=True)
def quick_picture(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pictures have a test of their own, and take longer than all else here."""
    monkeypatch.setattr(curves, "draw", lambda read, target: target.write_text(",".join(read)))


def stored(run: Path, key: str = "state_dict") -> dict[str, torch.Tensor]:
    """Return the averaged weights, or those in training, of a run's last checkpoint."""
    found = torch.load(run / "checkpoints" / "last.ckpt", weights_only=False)
    tensors: dict[str, torch.Tensor] = found[key]
    return tensors


def same(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> bool:
    return one.keys() == other.keys() and all(torch.equal(one[key], other[key]) for key in one)


def everything() -> TrainingConfig:
    """Return a run with dropout, frozen layers, two sizes and changing weights."""
    config = tiny_config()
    small, _ = config.phases[0].streams
    large = small.model_copy(update={"rows": 96, "columns": 96})
    losses = config.losses.model_copy(update={"pixel_pos_weight": PosWeight(start=5, end=2)})
    update = {
        "network": UnetOptions(dropout=0.3),
        "train_only": r"^(?!encoder\.stages\.[01]\.)",
        "encoder_rate": 0.5,
        "losses": losses,
        "phases": (Phase(epochs=1, streams=(small,)), Phase(epochs=1, streams=(large,))),
    }
    return config.model_copy(update=update)


@pytest.mark.long
def test_an_interrupted_run_goes_on_as_if_nothing_had_been(
    data: Path, packed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = everything()
    whole, broken = tmp_path / "whole", tmp_path / "broken"
    sizes = defaultdict(list)
    step = SegmentationTask.training_step

    def watched(task: SegmentationTask, batch: object, index: int) -> torch.Tensor:
        sizes[task.current_epoch].append(batch.tiles.shape[-1])  # type: ignore[attr-defined]
        return step(task, batch, index)  # type: ignore[arg-type]

    with monkeypatch.context() as patched:
        patched.setattr(SegmentationTask, "training_step", watched)
        train(config, data, packed, whole, resume=False)
    assert sizes == {0: [64, 64, 64], 1: [96, 96, 96]}

    def interrupted(task: SegmentationTask, batch: object, index: int) -> torch.Tensor:
        if task.global_step == 4:
            raise KeyboardInterrupt
        return step(task, batch, index)  # type: ignore[arg-type]

    handler = signal.getsignal(signal.SIGINT)
    with monkeypatch.context() as patched:
        patched.setattr(SegmentationTask, "training_step", interrupted)
        with pytest.raises(KeyboardInterrupt):
            train(config, data, packed, broken, resume=False)
    assert signal.getsignal(signal.SIGINT) is handler
    assert not same(stored(whole), stored(broken))
    with pytest.raises(ValueError, match="another config"):
        train(config.model_copy(update={"seed": 9}), data, packed, broken, resume=True)

    train(config, data, packed, broken, resume=True)
    assert same(stored(whole), stored(broken))
    assert same(stored(whole, "current_model_state"), stored(broken, "current_model_state"))
    assert curves.read(broken)["loss"] == curves.read(whole)["loss"]
    frozen_stay_and_others_move(config, stored(broken))

    assert stored_config(broken) == config
    assert (broken / "git.txt").exists()
    assert (broken / "checkpoints" / "best.ckpt").exists()
    assert "figure_of_merit" in (broken / "curves.png").read_text()
    assert list(broken.glob("tensorboard/**/events.*"))


@pytest.mark.long
def test_a_run_that_gets_sigterm_stops_after_its_step_and_goes_on_from_there(
    data: Path, packed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = everything()
    whole, broken = tmp_path / "whole", tmp_path / "broken"
    train(config, data, packed, whole, resume=False)
    step = SegmentationTask.training_step
    seen: list[int] = []

    def terminated(task: SegmentationTask, batch: object, index: int) -> torch.Tensor:
        seen.append(task.global_step)
        if task.global_step == 4:
            signal.raise_signal(signal.SIGTERM)
        return step(task, batch, index)  # type: ignore[arg-type]

    handler = signal.getsignal(signal.SIGTERM)
    with monkeypatch.context() as patched:
        patched.setattr(SegmentationTask, "training_step", terminated)
        with pytest.raises(Terminated):
            train(config, data, packed, broken, resume=False)
        assert signal.getsignal(signal.SIGTERM) is handler
        assert seen == [0, 1, 2, 3, 4]  # the step that was under way is whole
        seen.clear()
        train(config, data, packed, broken, resume=True)
    assert seen == [5]
    assert same(stored(whole), stored(broken))
    assert same(stored(whole, "current_model_state"), stored(broken, "current_model_state"))


def test_a_phase_mines_once_and_a_resumed_run_goes_on_with_what_was_found(
    data: Path, packed: Path, tmp_path: Path
) -> None:
    config = tiny_config(epochs=1)
    phases = (config.phases[0], config.phases[0].model_copy(update={"mine": True}))
    config = config.model_copy(update={"phases": phases})
    run = tmp_path / "run"
    train(config, data, packed, run, resume=False)
    first = (run / "mined-1.json").read_bytes()
    assert not (run / "mined-0.json").exists()
    assert all(place[0] in ("cdd-cesm", "mini-mias") for place in json.loads(first))
    train(config, data, packed, run, resume=True)
    assert (run / "mined-1.json").read_bytes() == first


def frozen_stay_and_others_move(config: TrainingConfig, end: dict[str, torch.Tensor]) -> None:
    """Compare a run's averaged weights with those it started with."""
    lightning.seed_everything(config.seed)
    start = build(config.network).state_dict()
    frozen = {name for name in start if not re.search(config.train_only, name)}
    assert any(name.endswith("running_var") for name in frozen)
    for name, before in start.items():
        kept = torch.equal(before, end[f"net.{name}"])
        assert kept == (name in frozen), name


@pytest.mark.long
def test_a_new_run_starts_from_the_weights_of_another_at_another_size(
    data: Path, packed: Path, tmp_path: Path
) -> None:
    first, second = tmp_path / "first", tmp_path / "second"
    config = tiny_config(epochs=1)
    train(config, data, packed, first, resume=False)
    larger = config.phases[0].streams[0].model_copy(update={"rows": 128, "columns": 128})
    update = {
        "start_from": first / "checkpoints" / "last.ckpt",
        "phases": (Phase(epochs=1, streams=(larger,)),),
        "train_only": r"^head\.",
        "steps_per_epoch": 1,
    }
    train(config.model_copy(update=update), data, packed, second, resume=False)
    before, after = stored(first), stored(second)
    moved = {name for name in before if not torch.equal(before[name], after[name])}
    assert moved == {"net.head.project.weight", "net.head.project.bias"}
    assert len(json.loads((second / "start.json").read_text())["sha256"]) == 64
    for run in (first, second):
        lineage = lineage_of(run / "checkpoints" / "last.ckpt")
        assert lineage.sources == config.sources and lineage.images.complete
        samples = [one for source in config.sources for one in read_source(data, source)]
        assert lineage.images.chose == {one.digest for one in samples if one.split == "validation"}
        assert lineage.images.trained <= {one.digest for one in samples if one.split == "train"}
        assert lineage.images.trained

    other = config.model_copy(update={**update, "network": SmallOptions(skips="plain")})
    with pytest.raises(ValueError, match="holds another net"):
        train(other, data, packed, tmp_path / "third", resume=False)


def test_each_epoch_gets_its_own_batches() -> None:
    config = tiny_config()
    batches = Batches(config, packed_all())
    batches.trainer = cast(lightning.Trainer, SimpleNamespace(current_epoch=1, global_step=3))
    first = next(iter(batches.train_dataloader()))
    assert torch.equal(first.tiles, CropBatches(packed_all(), config, 1)[0].tiles)


def test_there_must_be_something_to_resume(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="nothing to resume"):
        train(tiny_config(), tmp_path, tmp_path / "packed", tmp_path / "run", resume=True)


def test_a_folder_that_holds_a_run_is_refused_and_what_a_broken_start_left_is_not_taken_over(
    tmp_path: Path,
) -> None:
    run = tmp_path / "run"
    (run / "checkpoints").mkdir(parents=True)
    (run / "csv" / "version_0").mkdir(parents=True)
    for name in ("mined-0.json", "start.json", "members.json"):
        (run / name).write_text("[]")
    begin(run)
    assert [path.name for path in run.iterdir()] == ["checkpoints"]
    (run / "checkpoints" / "last.ckpt").write_text("of the other run")
    (run / "mined-0.json").write_text("[]")
    with pytest.raises(ValueError, match="holds a run already"):
        train(tiny_config(), tmp_path, tmp_path / "packed", run, resume=False)
    assert (run / "mined-0.json").exists()


def test_without_anything_to_choose_by_the_best_checkpoint_is_the_last(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    manifest = tmp_path / "data" / "cdd-cesm" / "manifest.csv"
    write_cdd_cesm(manifest.parent, patients=4)
    lines = manifest.read_text().splitlines()
    manifest.write_text("\n".join(line for line in lines if ",P1," not in line) + "\n")
    samples = list(read_source(tmp_path / "data", "cdd-cesm"))
    assert {one.split for one in samples} == {"train"}
    stream = Stream(rows=64, columns=64, mix={"cdd-cesm": 2})
    phase = Phase(epochs=2, streams=(stream,))
    config = tiny_config().model_copy(update={"phases": (phase,), "steps_per_epoch": 1})
    run = tmp_path / "run"
    train(config, tmp_path / "data", tmp_path / "packed", run, resume=False)
    assert "best.ckpt will be the last epoch's" in " ".join(capsys.readouterr().out.split())
    best, last = (
        torch.load(run / "checkpoints" / f"{name}.ckpt", weights_only=False)
        for name in ("best", "last")
    )
    assert best["global_step"] == last["global_step"] == 2
    assert same(best["state_dict"], last["state_dict"])


def test_a_machine_without_git_trains_all_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    assert git_state()
    monkeypatch.setenv("PATH", "")
    assert git_state() == "git could not be asked\n"
