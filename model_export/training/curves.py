"""How a run goes, as a picture: losses, rates and validation figures over the steps."""

import csv
from collections import defaultdict
from pathlib import Path

import lightning
import numpy as np
from lightning.pytorch.callbacks import Callback
from lightning.pytorch.loggers import CSVLogger
from matplotlib.axes import Axes
from matplotlib.figure import Figure

Curve = list[tuple[int, float]]
"""Step and value, by step."""

PANELS: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("loss", ("loss",)),
    ("learning rate", ("lr-",)),
    ("weight of a lesion's pixel", ("pos_weight",)),
    ("Dice", ("/dice", "/dice_brightest")),
    (
        "AUC; sensitivity at a quarter and at 1 false positive an image",
        ("/auc", "/sensitivity_at_quarter", "/sensitivity_at_1"),
    ),
    ("mean score; figure of merit", ("/mean_score", "figure_of_merit")),
)
"""Title, and how the names of the curves start (the first three) or end."""

SMOOTHED = 15
"""Points of a running mean: streams that take turns make a loss jump."""


class DrawCurves(Callback):
    """Writes the picture after every validation, and when training ends or breaks off."""

    def __init__(self, run: Path) -> None:
        self._run = run

    def on_validation_end(self, trainer: lightning.Trainer, _: lightning.LightningModule) -> None:
        """Write it."""
        self._draw(trainer)

    def on_train_end(self, trainer: lightning.Trainer, _: lightning.LightningModule) -> None:
        """Write it."""
        self._draw(trainer)

    def on_exception(
        self, trainer: lightning.Trainer, _: lightning.LightningModule, __: BaseException
    ) -> None:
        """Write it."""
        self._draw(trainer)

    def _draw(self, trainer: lightning.Trainer) -> None:
        for logger in trainer.loggers:
            if isinstance(logger, CSVLogger):
                logger.save()
        draw(read(self._run), self._run / "curves.png")


def read(run: Path) -> dict[str, Curve]:
    """Read the curves of a run, by name, from the logs of all its starts.

    What a start logged after the step from which a later one went on is left out: those steps
    were taken again.
    """
    curves: dict[str, Curve] = defaultdict(list)
    folders = sorted((run / "csv").glob("version_*"), key=lambda one: int(one.name[8:]))
    for folder in folders:
        path = folder / "metrics.csv"
        if not path.exists():
            continue
        with path.open(newline="") as table:
            rows = list(csv.DictReader(table))
        first = min((int(row["step"]) for row in rows), default=0)
        curves = defaultdict(
            list,
            {name: [one for one in curve if one[0] < first] for name, curve in curves.items()},
        )
        for row in rows:
            for name, value in row.items():
                if name != "step" and value:
                    curves[name].append((int(row["step"]), float(value)))
    return dict(curves)


def draw(curves: dict[str, Curve], target: Path) -> None:
    """Write the curves of one run as a PNG."""
    figure = Figure(figsize=(15, 8))
    # Fixed margins: finding them takes as long as drawing everything once more.
    figure.subplots_adjust(0.04, 0.06, 0.99, 0.95, wspace=0.15, hspace=0.25)
    for axes, (title, names) in zip(figure.subplots(2, 3).flat, PANELS, strict=True):
        axes.set_title(title)
        axes.set_xlabel("step")
        axes.grid(alpha=0.3)
        shown = sorted(name for name in curves if _belongs(name, names))
        for name in shown:
            _plot(axes, name, curves[name], smooth=name.startswith("loss"))
        if shown:
            axes.legend(fontsize="x-small")
    figure.savefig(target, dpi=80)


def _belongs(name: str, wanted: tuple[str, ...]) -> bool:
    return name.endswith(wanted) if wanted[0].startswith("/") else name.startswith(wanted)


def _plot(axes: Axes, name: str, curve: Curve, *, smooth: bool) -> None:
    steps, values = np.array(curve).T
    width = min(SMOOTHED, len(values))
    if smooth and width > 1:
        (line,) = axes.plot(steps, values, linewidth=0.5, alpha=0.3)
        mean = np.convolve(values, np.ones(width) / width, mode="valid")
        axes.plot(steps[width - 1 :], mean, color=line.get_color(), label=name)
    else:
        axes.plot(steps, values, marker=".", label=name)
