"""An evaluation in a terminal."""

from rich.console import Console
from rich.table import Table

from model_export.datasets.names import source_name
from model_export.evaluation import Evaluation, Figure
from model_export.report.describe import DESCRIBED
from model_export.report.known_by import known_by
from model_export.report.pages import target_results

COLOURS = {"met": "green", "not met": "red"}


def show(evaluation: Evaluation, console: Console) -> None:
    """Print headline figures and targets."""
    options, model = evaluation.options, evaluation.model
    console.print(_figures(f"{model.name} {model.version}, {options.split} patients", evaluation))
    for source, kinds in known_by(evaluation.images).items():
        console.print(f"{source_name(source)}: lesions are known by {kinds}")
    console.print(_targets(evaluation))
    for timing in evaluation.timings:
        console.print(
            f"{source_name(timing.source)}: {timing.images} images, {timing.asked} answers in "
            f"{timing.seconds:.0f} s"
        )
    console.print(f"{evaluation.seconds:.0f} s in all")
    for fault, count in evaluation.refused.items():
        console.print(f"refused by the service: {count} x {fault}", style="yellow")
    for remark in evaluation.remarks:
        console.print(remark, style="yellow", markup=False)
    if options.limit is not None:
        console.print(f"At most {options.limit} images a source: nothing to report.", style="red")


def _figures(title: str, evaluation: Evaluation) -> Table:
    table = Table("source", "figure", "value", "95 % interval", "images", "patients", title=title)
    for key, figure in evaluation.figures.items():
        source, _, name = key.rpartition("/")
        described = DESCRIBED.get(name)
        if described is not None and described.headline:
            table.add_row(
                source_name(source),
                described.label,
                f"{figure.value:.3f}",
                _interval(figure),
                str(figure.images),
                str(figure.patients),
            )
    return table


def _targets(evaluation: Evaluation) -> Table:
    table = Table("target", "bar", "value", "95 % interval", "verdict", title="targets")
    for result in target_results(evaluation):
        target, figure = result.target, result.figure
        sign = "<=" if target.at_most else ">="
        table.add_row(
            target.text,
            "" if target.bar is None else f"{sign} {target.bar:g}",
            "" if figure is None else f"{figure.value:.3f}",
            "" if figure is None else _interval(figure),
            result.verdict,
            style=COLOURS.get(result.verdict),
        )
    return table


def _interval(figure: Figure) -> str:
    return f"{figure.low:.3f} to {figure.high:.3f}"
