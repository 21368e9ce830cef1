"""`python -m model_export audit | train | export | verify | calibrate | evaluate`."""

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from model_export import report
from model_export.audit import THRESHOLD
from model_export.config import TrainingConfig
from model_export.datasets import DatasetError, sources_in
from model_export.evaluation import Figure

app = typer.Typer(
    add_completion=False, no_args_is_help=True, help="Make the ONNX file that the service serves."
)
console = Console()

DATA = Path("../shared/data")
PACKED = Path("data-cache")
CONFIGS = Path(__file__).parent / "configs"
SMALL = CONFIGS / "small.toml"

Data = Annotated[Path, typer.Option(help="Folder that holds one folder a data set.")]
Model = Annotated[Path, typer.Argument(help="The ONNX file.")]
Run = Annotated[Path, typer.Argument(help="The run's folder.")]
Checkpoint = Annotated[str, typer.Option(help="Which of the run's checkpoints: best or last.")]
Save = Annotated[Path | None, typer.Option(help="Folder for figures.json and figures.md.")]


@app.command()
def audit(
    data: Data = DATA,
    sources: Annotated[
        list[str] | None, typer.Option(help="Folders in it; all that can be read when not given.")
    ] = None,
    save: Annotated[Path | None, typer.Option(help="Folder for the report and pictures.")] = None,
    threshold: Annotated[
        float, typer.Option(help="Cosine distance of near-duplicates.")
    ] = THRESHOLD,
    config: Annotated[Path, typer.Option(help="Whose training tiles to probe.")] = SMALL,
    packed: Annotated[Path, typer.Option(help="Folder for the packed samples.")] = PACKED,
    tiles: Annotated[int, typer.Option(help="Training tiles to probe; 0 for none.")] = 4000,
) -> None:
    """Look for duplicates, patients on two sides of the split, and labels that leak."""
    from model_export.audit import findings
    from model_export.audit.report import save as write
    from model_export.audit.report import show

    try:
        found = findings.audit(data, sources or sources_in(data), threshold)
        if tiles:
            found = findings.with_tiles(found, TrainingConfig.read(config), data, packed, tiles)
    except DatasetError as error:
        raise _fault(error) from error
    show(found, console)
    if save is not None:
        write(found, save)
    if not found.sound:
        raise typer.Exit(1)


@app.command()
def train(
    run: Run,
    config: Annotated[Path, typer.Option(help="TOML file.")] = SMALL,
    data: Data = DATA,
    packed: Annotated[Path, typer.Option(help="Folder for the packed samples.")] = PACKED,
    resume: Annotated[bool, typer.Option(help="Go on from the last checkpoint.")] = False,
) -> None:
    """Train a net into a run folder."""
    from model_export.networks.imagenet import PretrainedWeightsError
    from model_export.training import train as start

    try:
        start(TrainingConfig.read(config), data, packed, run, resume=resume)
    except (FileNotFoundError, PretrainedWeightsError) as error:
        raise _fault(error) from error


@app.command()
def export(
    run: Run,
    target: Annotated[Path, typer.Argument(help="The ONNX file to write.")],
    version: Annotated[str, typer.Option(help="Of the model, major.minor.patch.")],
    checkpoint: Checkpoint = "best",
) -> None:
    """Fold a trained net, write it with its contract, and verify it."""
    from model_export.export import export as write
    from model_export.export import load_net

    settings = TrainingConfig.model_validate_json((run / "config.json").read_text())
    net = load_net(run / "checkpoints" / f"{checkpoint}.ckpt", settings.network)
    write(net, settings, target, version)
    _verify(run, target, checkpoint)


@app.command()
def verify(model: Model, run: Run, checkpoint: Checkpoint = "best") -> None:
    """Compare an ONNX file with the net that it was exported from."""
    _verify(run, model, checkpoint)


@app.command()
def calibrate(model: Model, data: Data = DATA, save: Save = None) -> None:
    """Choose the operating point on the validation split and write it into the file."""
    from model_export.calibration import calibrate as choose

    _show(choose(model, data), save)


@app.command()
def evaluate(model: Model, data: Data = DATA, save: Save = None) -> None:
    """Give the figures of an ONNX file on the test split, through the service."""
    from model_export.calibration import evaluate as measure

    _show(measure(model, data), save)


def _verify(run: Path, model: Path, checkpoint: str) -> None:
    from model_export.export import load_net
    from model_export.verify import ParityError
    from model_export.verify import verify as compare
    from service.errors import StartupError

    settings = TrainingConfig.model_validate_json((run / "config.json").read_text())
    net = load_net(run / "checkpoints" / f"{checkpoint}.ckpt", settings.network)
    try:
        parity = compare(model, net)
    except (ParityError, StartupError) as error:
        raise _fault(error) from error
    console.print(
        f"{model}: torch and ONNX Runtime agree within {parity.probability:.1e} (map) and "
        f"{parity.score:.1e} (score); golden tile within {parity.golden:.1e}"
    )


def _show(figures: dict[str, Figure], save: Path | None) -> None:
    console.print(report.table(figures))
    if save is not None:
        report.save(figures, save)


def _fault(error: Exception) -> typer.Exit:
    """Say what is wrong on standard error; the caller raises the exit code."""
    Console(stderr=True).print(f"[bold red]failed:[/] {error}")
    return typer.Exit(1)
