"""What came out: one result a trial, as JSON, as a table and as a picture."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from model_export.ablation.table import Trial
from model_export.training.curves import Curve
from model_export.training.task import MERITS

RESULT = "result.json"
"""In the folder of a finished trial."""


@dataclass(frozen=True, slots=True)
class Result:
    """Validation figures of one trial.

    Attributes
    ----------
    last, best
        By name, of the last validation and of the one with the best figure of merit.
    seconds
        That training and validation took; None where the run was resumed.
    """

    row: str
    seed: int
    steps: int
    last: dict[str, float]
    best: dict[str, float]
    seconds: float | None


def result_of(trial: Trial, read: Mapping[str, Curve], seconds: float | None) -> Result:
    """Take the figures of a finished trial from its curves."""
    merits = read["figure_of_merit"]
    best = max(merits, key=lambda point: point[1])[0]
    last = merits[-1][0]
    figures = {name: dict(curve) for name, curve in sorted(read.items()) if _is_figure(name)}
    steps = trial.config.steps
    return Result(trial.row, trial.seed, steps, _at(figures, last), _at(figures, best), seconds)


def _is_figure(name: str) -> bool:
    """Say whether a curve is of a validation figure, not of training."""
    return not name.startswith(("loss", "lr-", "pos_weight", "epoch"))


def _at(figures: Mapping[str, Mapping[int, float]], step: int) -> dict[str, float]:
    return {name: curve[step] for name, curve in figures.items() if step in curve}


def save(result: Result, folder: Path) -> None:
    """Mark a trial as finished."""
    (folder / RESULT).write_text(json.dumps(asdict(result), indent=2) + "\n")


def collect(trials: Sequence[Trial], out: Path) -> list[Result]:
    """Read the results of the trials that are finished."""
    paths = [out / trial.name / RESULT for trial in trials]
    return [Result(**json.loads(path.read_text())) for path in paths if path.exists()]


def write(results: Sequence[Result], out: Path) -> None:
    """Write results.json, results.md and results.png."""
    out.mkdir(parents=True, exist_ok=True)
    text = json.dumps([asdict(result) for result in results], indent=2)
    (out / "results.json").write_text(text + "\n")
    parts = (
        _table("Last epoch", results, best=False),
        _table(
            "Best epoch, chosen by the figure of merit on the same patients", results, best=True
        ),
    )
    (out / "results.md").write_text("\n".join(parts))
    _bars(results).savefig(out / "results.png", dpi=80)


def _shown(results: Sequence[Result]) -> list[str]:
    """Return the figures of the table and the picture, the merit first; the JSON holds all."""
    names = {name for one in results for name in one.last if name.rpartition("/")[2] in MERITS}
    return ["figure_of_merit", *sorted(names)]


def _rows(results: Sequence[Result]) -> dict[str, list[Result]]:
    rows: dict[str, list[Result]] = {}
    for result in results:
        rows.setdefault(result.row, []).append(result)
    return rows


def _table(title: str, results: Sequence[Result], *, best: bool) -> str:
    names = _shown(results)
    lines = [f"## {title}", "", f"| row | seeds | steps | {' | '.join(names)} | minutes |"]
    lines.append("|---" * (len(names) + 4) + "|")
    for row, own in _rows(results).items():
        sets = [one.best if best else one.last for one in own]
        cells = [_cell([figures[name] for figures in sets if name in figures]) for name in names]
        minutes = _cell([one.seconds / 60 for one in own if one.seconds is not None])
        lines.append(f"| {row} | {len(own)} | {own[0].steps} | {' | '.join(cells)} | {minutes} |")
    return "\n".join([*lines, ""])


def _cell(values: Sequence[float]) -> str:
    """Return the mean, with the standard deviation over seeds where there are several."""
    if not values:
        return "-"
    mean = f"{np.mean(values):.3f}"
    return mean if len(values) == 1 else f"{mean} ± {np.std(values, ddof=1):.3f}"


def _bars(results: Sequence[Result]) -> Figure:
    """Draw the last epoch's figures: a bar for the mean of a row, a dot for each seed."""
    rows, names = _rows(results), _shown(results)
    height = 1.5 + 0.3 * len(rows)
    figure = Figure(figsize=(3.2 * len(names), height), layout="constrained")
    panels = figure.subplots(1, len(names), squeeze=False, sharey=True)[0]
    for axes, name in zip(panels, names, strict=True):
        for row, own in enumerate(rows.values()):
            values = [one.last[name] for one in own if name in one.last]
            if values:
                axes.barh(row, np.mean(values), color="tab:blue", alpha=0.6)
                axes.plot(values, [row] * len(values), "k.", markersize=4)
        axes.set_title(name, fontsize="small")
        axes.grid(alpha=0.3, axis="x")
    panels[0].set_yticks(range(len(rows)), list(rows), fontsize="small")
    panels[0].invert_yaxis()
    return figure
