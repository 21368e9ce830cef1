"""`python -m model_export`: from data to a net here, from a net to a file in `file_commands`."""

from pathlib import Path
from typing import Annotated

import typer

from model_export import file_commands
from model_export.audit import THRESHOLD, TILES
from model_export.command import (
    CONFIGS,
    DATA,
    LITE,
    PACKED,
    Checkpoint,
    Data,
    Packed,
    Run,
    console,
    fault,
    interrupted,
    terminated,
)
from model_export.config_file import changed_config, read_config, stored_config
from model_export.datasets import DatasetError, sources_in

__all__ = ["CONFIGS", "app"]

app = typer.Typer(
    add_completion=False, no_args_is_help=True, help="Make the ONNX file that the service serves."
)


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
        settings = read_config(config)
        named = sources or sources_in(data)
        found = findings.audit(data, named, threshold, settings.working_mm)
        if tiles:
            found = findings.with_tiles(found, settings, data, packed, tiles)
    except (OSError, ValueError, DatasetError) as error:
        raise fault(error) from error
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
    from model_export.training.run import train as start
    from model_export.training.stopping import Terminated

    given = {"start_from": start_from, "train_only": train_only}
    changes = {name: value for name, value in given.items() if value is not None}
    try:
        stored = resume and config is None
        settings = stored_config(run) if stored else read_config(config or LITE)
        settings = changed_config(settings, changes)
        start(settings, data, packed, run, resume=resume)
    except (OSError, ValueError, DatasetError, PretrainedWeightsError) as error:
        raise fault(error) from error
    except KeyboardInterrupt as error:
        raise interrupted("--resume goes on after the last whole epoch") from error
    except Terminated as error:
        raise terminated("--resume goes on after the last whole step") from error


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
        raise fault(error) from error
    except KeyboardInterrupt as error:
        raise interrupted("the same command goes on") from error
    except Terminated as error:
        raise terminated("the same command goes on") from error
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
        raise fault(error) from error


app.add_typer(file_commands.app)
