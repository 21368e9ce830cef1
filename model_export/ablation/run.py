"""Training the trials of a table, one after another."""

import gc
import time
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

from model_export.ablation import results
from model_export.ablation.results import Result
from model_export.ablation.table import Trial
from model_export.config_file import CONFIG, stored_config
from model_export.training import curves
from model_export.training.run import train


def run(
    trials: Sequence[Trial],
    data: Path,
    packed: Path,
    out: Path,
    console: Console,
    only: Sequence[str] = (),
) -> list[Result]:
    """Train what is not finished yet, and write what is known after every trial.

    Interrupted, it goes on with the next call where the last whole epoch ended.

    Parameters
    ----------
    data, packed
        As for `training.train`.
    out
        Gets one run folder a trial, results.json, results.md and results.png.
    only
        Names of rows; all are trained if it is empty.

    Returns
    -------
    The results of all finished trials, in the table's order.

    Raises
    ------
    ValueError
        There is no row of such a name, or a folder holds a run of another config.
    KeyboardInterrupt
        A trial was interrupted.
    """
    unknown = set(only) - {trial.row for trial in trials}
    if unknown:
        raise ValueError(f"no such row: {', '.join(sorted(unknown))}")
    wanted = [trial for trial in trials if not only or trial.row in only]
    for trial in wanted:
        _check(trial, out / trial.name)
    for number, trial in enumerate(wanted, start=1):
        console.rule(f"{number} of {len(wanted)}: {trial.row}, seed {trial.seed}")
        if not (out / trial.name / results.RESULT).exists():
            _train(trial, data, packed, out / trial.name)
        results.write(results.collect(trials, out), out)
    return results.collect(trials, out)


def _check(trial: Trial, folder: Path) -> None:
    if (folder / CONFIG).exists() and stored_config(folder) != trial.config:
        raise ValueError(f"{folder} holds a run of another config: delete it, or choose another")


def _train(trial: Trial, data: Path, packed: Path, folder: Path) -> None:
    resume = (folder / "checkpoints" / "last.ckpt").exists()
    start = time.monotonic()
    train(trial.config, data, packed, folder, resume=resume)
    gc.collect()  # The trainer and its samples refer to each other.
    seconds = None if resume else round(time.monotonic() - start, 1)
    results.save(results.result_of(trial, curves.read(folder), seconds), folder)
