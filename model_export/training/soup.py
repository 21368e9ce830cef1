"""One net from several that were trained on from the same weights: the mean of their weights.

Wortsman et al., "Model soups: averaging weights of multiple fine-tuned models improves accuracy
without increasing inference time", 2022.
"""

import json
from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor

from model_export.config import TrainingConfig
from model_export.config_file import CONFIG, stored_config
from model_export.training.checkpoints import averaged_weights, digest_of
from model_export.training.lineage import lineage_of, stored_as, union


def mean_of(weights: Sequence[dict[str, Tensor]]) -> dict[str, Tensor]:
    """Return the mean of each tensor; tensors of integers (counters) are taken from the first.

    Raises
    ------
    ValueError
        There is nothing to average, or the tensors are not those of one net.
    """
    if not weights:
        raise ValueError("nothing to average")
    first = weights[0]
    shapes = {name: value.shape for name, value in first.items()}
    if any({name: value.shape for name, value in one.items()} != shapes for one in weights):
        raise ValueError("the checkpoints hold different nets")
    return {
        name: torch.stack([one[name] for one in weights]).mean(dim=0)
        if value.is_floating_point()
        else value
        for name, value in first.items()
    }


def average(runs: Sequence[Path], checkpoint: str, out: Path) -> TrainingConfig:
    """Write a run folder whose checkpoint `best` holds the mean of other runs' checkpoints.

    Parameters
    ----------
    runs
        Folders of runs that all started from one checkpoint; the run that made that checkpoint may
        be among them. Averaging nets that share no start makes no useful net.
    checkpoint
        Which checkpoint of each run: "best" or "last".
    out
        The folder to write; `members.json` in it names the averaged checkpoints and their SHA-256.

    Returns
    -------
    The config that stands in the folder: the first run's.

    Raises
    ------
    FileNotFoundError
        A run has no such checkpoint.
    ValueError
        The runs did not start from one checkpoint, their nets differ, or nothing says what one of
        them was trained on.
    """
    paths = [run / "checkpoints" / f"{checkpoint}.ckpt" for run in runs]
    members = {path: digest_of(path) for path in paths}
    starts = {_start(run) or members[path] for run, path in zip(runs, paths, strict=True)}
    if len(starts) != 1:
        raise ValueError("only runs that started from one checkpoint can be averaged")
    mean = mean_of([averaged_weights(path) for path in paths])
    (out / "checkpoints").mkdir(parents=True, exist_ok=True)
    kept = {"state_dict": {f"net.{name}": value for name, value in mean.items()}}
    kept |= stored_as(union(lineage_of(path) for path in paths))
    torch.save(kept, out / "checkpoints" / "best.ckpt")
    config = stored_config(runs[0])
    (out / CONFIG).write_text(config.model_dump_json(indent=2) + "\n")
    named = {str(path): digest for path, digest in members.items()}
    (out / "members.json").write_text(json.dumps(named, indent=2) + "\n")
    return config


def _start(run: Path) -> str | None:
    """Return the SHA-256 of the checkpoint that a run started from; None where it had none."""
    path = run / "start.json"
    return str(json.loads(path.read_text())["sha256"]) if path.exists() else None
