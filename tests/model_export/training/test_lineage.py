from pathlib import Path

import pytest
import torch

from model_export.config import Distillation, Phase, Stream, TrainingConfig
from model_export.networks import LiteOptions
from model_export.networks.imagenet import notice
from model_export.seen_images import NOT_TOLD, SeenImages
from model_export.training.checkpoints import digest_of
from model_export.training.lineage import Lineage, lineage_of, lineage_of_config, stored_as, union
from model_export.training.soup import average
from tests.model_export.tiny import tiny_config

pytestmark = pytest.mark.integration


def config_of(*sources: str, **update: object) -> TrainingConfig:
    stream = Stream(rows=64, columns=64, mix=dict.fromkeys(sources, 1))
    phases = (Phase(epochs=1, streams=(stream,)),)
    return tiny_config().model_copy(update={"phases": phases, **update})


def written(run: Path, config: TrainingConfig, **kept: object) -> Path:
    """Write a run's folder, whose checkpoint says nothing of itself, and return the checkpoint."""
    (run / "checkpoints").mkdir(parents=True)
    (run / "config.json").write_text(config.model_dump_json())
    path = run / "checkpoints" / "best.ckpt"
    torch.save({"state_dict": {"net.weight": torch.ones(1)}, **kept}, path)
    return path


def test_what_a_run_starts_from_and_its_teacher_saw_counts_too(tmp_path: Path) -> None:
    teacher = written(tmp_path / "teacher", config_of("inbreast"))
    first = written(
        tmp_path / "first", config_of("cdd-cesm", distillation=Distillation(teacher=teacher))
    )
    second = written(tmp_path / "second", config_of("own", start_from=first))
    assert lineage_of(second).sources == ("cdd-cesm", "inbreast", "own")


def test_what_a_checkpoint_says_of_itself_holds_wherever_it_lies(tmp_path: Path) -> None:
    said = Lineage(("a", "b"), (" And so on.",))
    path = written(tmp_path / "run", config_of("own"), **stored_as(said))
    moved = path.rename(tmp_path / "moved.ckpt")
    config = config_of("own", start_from=moved)
    assert lineage_of_config(config) == Lineage(("a", "b", "own"), said.notices)


def test_images_that_were_seen_go_on_with_the_weights_and_older_checkpoints_say_of_none(
    tmp_path: Path,
) -> None:
    one, other, third = (bytes([number]) * 8 for number in (1, 2, 3))
    said = Lineage(("a",), (), SeenImages(frozenset({one}), frozenset({other})))
    path = written(tmp_path / "run", config_of("a"), **stored_as(said))
    assert lineage_of(path) == said
    own = SeenImages(frozenset({third}))
    taught = Distillation(teacher=path)
    for config in (config_of("b", start_from=path), config_of("b", distillation=taught)):
        images = lineage_of_config(config, own).images
        assert images == SeenImages(frozenset({one, third}), frozenset({other}))
    before = {"lineage": {"sources": ("a",), "notices": ()}}
    older = written(tmp_path / "older", config_of("a"), **before)
    assert lineage_of(older).images == NOT_TOLD
    assert not lineage_of_config(config_of("b", start_from=older), own).images.complete


def test_a_mean_comes_from_all_of_its_members(tmp_path: Path) -> None:
    first = written(tmp_path / "first", config_of("mini-mias"))
    second = written(tmp_path / "second", config_of("own"))
    (tmp_path / "second" / "start.json").write_text(f'{{"sha256": "{digest_of(first)}"}}')
    average([tmp_path / "first", tmp_path / "second"], "best", tmp_path / "mean")
    mean = tmp_path / "mean" / "checkpoints" / "best.ckpt"
    assert lineage_of(mean).sources == ("mini-mias", "own")
    # As a mean of before that said so itself.
    torch.save({"state_dict": {}}, mean)
    assert lineage_of(mean).sources == ("mini-mias", "own")
    assert second.exists()


def test_weights_of_which_nothing_is_said_are_no_start(tmp_path: Path) -> None:
    path = written(tmp_path / "run", config_of("own")).rename(tmp_path / "moved.ckpt")
    with pytest.raises(ValueError, match=r"nothing says what .*moved\.ckpt was trained on"):
        lineage_of_config(config_of("own", start_from=path))


def test_the_licence_of_imagenet_weights_goes_on_with_those_that_start_from_them(
    tmp_path: Path,
) -> None:
    lite = LiteOptions()
    first = written(tmp_path / "first", config_of("own", network=lite))
    later = config_of("own", network=LiteOptions(pretrained=False), start_from=first)
    assert lineage_of_config(later).notices == (notice(lite),)
    assert union([lineage_of_config(later)] * 2) == lineage_of_config(later)
