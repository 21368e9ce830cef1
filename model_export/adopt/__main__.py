"""`mammoseg adopt`, which is `python -m model_export.adopt`: any segmentation net, without code."""

from pathlib import Path
from typing import Annotated, Literal

import typer
from rich.console import Console
from rich.markup import escape
from rich.status import Status

from model_export.adopt.errors import AdoptError, Unanswered
from model_export.adopt.flags import RANGES, Flags
from model_export.adopt.run import AdoptResult, Naming, adopt, picture_of, warnings_of
from model_export.adopt.what_if import Progress

app = typer.Typer(add_completion=False)
console = Console(soft_wrap=True)
stderr = Console(stderr=True, soft_wrap=True)

QUESTIONS = 2
"""Exit status where flags are missing."""


@app.command(name="adopt")
def command(
    source: Annotated[Path, typer.Argument(help="The net's file or folder.")],
    sample: Annotated[Path, typer.Option(help="A mammogram, best one with a lesion.")],
    out: Annotated[Path, typer.Option(help="The ONNX file to write.")],
    expected: Annotated[
        Path | None,
        typer.Option(help="What the framework answers to the sample: mask PNG, or .npy."),
    ] = None,
    pixels: Annotated[
        str | None, typer.Option(help=f"Range of the net's pixels: {', '.join(RANGES)}, LOW..HIGH.")
    ] = None,
    mean: Annotated[
        str | None, typer.Option(help="Then subtracted; one, or one a channel.")
    ] = None,
    deviation: Annotated[str | None, typer.Option(help="Then divided by.")] = None,
    activation: Annotated[
        Literal["sigmoid", "softmax", "none"] | None,
        typer.Option(help="What makes probabilities of the net's answers."),
    ] = None,
    lesion_class: Annotated[
        list[str] | None, typer.Option(help="Class that is a lesion, by name or number.")
    ] = None,
    classes: Annotated[str | None, typer.Option(help="Names of all classes, by comma.")] = None,
    code: Annotated[list[str] | None, typer.Option(help="NAME=VALUE:SCHEME:MEANING.")] = None,
    spacing: Annotated[float | None, typer.Option(help="Pixel of the training images, mm.")] = None,
    tile: Annotated[str | None, typer.Option(help="ROWSxCOLUMNS run at once.")] = None,
    facing: Annotated[
        Literal["left", "right", "any"],
        typer.Option(help="Side of the chest wall in the training images."),
    ] = "any",
    has_mask: Annotated[
        Literal["max", "area"], typer.Option(help="What the has-mask score follows.")
    ] = "max",
    bgr: Annotated[bool, typer.Option(help="Means and deviations are for blue first.")] = False,
    invert: Annotated[bool, typer.Option(help="Dense tissue is dark for the net.")] = False,
    transpose: Annotated[bool, typer.Option(help="Columns come before rows.")] = False,
    mirroring: Annotated[
        bool, typer.Option(help="nnU-Net: average over mirror images, at 2 to 4 times the time.")
    ] = False,
    output: Annotated[
        str | None, typer.Option(help="Output that is the map, by name, where several might be.")
    ] = None,
    architecture: Annotated[
        str | None, typer.Option(help="Of smp weights alone: Unet:resnet34.")
    ] = None,
    name: Annotated[str | None, typer.Option(help="Of the model.")] = None,
    model_version: Annotated[str, typer.Option(help="major.minor.patch.")] = "1.0.0",
    licence: Annotated[str, typer.Option(help="Of the weights.")] = Naming().licence,
    trained_on: Annotated[
        list[str] | None,
        typer.Option(help="Source that it was trained on: `evaluate` takes its own test part."),
    ] = None,
) -> None:
    """Make a served ONNX file of a segmentation net that another framework trained."""
    flags = Flags(
        pixels=pixels,
        mean=mean,
        deviation=deviation,
        activation=activation,
        lesion_class=tuple(lesion_class or ()),
        classes=classes,
        codes=tuple(code or ()),
        spacing_mm=spacing,
        tile=tile,
        facing=facing,
        has_mask=has_mask,
        bgr=bgr,
        invert=invert,
        transpose=transpose,
        mirroring=mirroring,
        output=output,
        architecture=architecture,
    )
    naming = Naming(name, model_version, licence, tuple(trained_on or ()))
    try:
        with stderr.status("Reading the net") as status:
            result = adopt(
                source,
                sample,
                out,
                flags,
                naming=naming,
                expected_path=expected,
                progress=telling(status),
            )
    except Unanswered as error:
        stderr.print(str(error), style="red", markup=False, highlight=False)
        raise typer.Exit(QUESTIONS) from error
    except AdoptError as error:
        stderr.print(f"not adopted: {error}", style="red", markup=False, highlight=False)
        raise typer.Exit(1) from error
    report(result, out)


def telling(status: Status) -> Progress:
    """Return what shows the flag that is being tried; off a terminal, once, that any are."""
    told = False

    def tell(trial: str) -> None:
        nonlocal told
        status.update(f"not proven; trying other flags on the sample, {escape(trial)}")
        if not told and not stderr.is_terminal:
            stderr.print("not proven; trying other flags on the sample", highlight=False)
        told = True

    return tell


def report(result: AdoptResult, out: Path) -> None:
    """Say what was written, what it was proven against, and what comes next."""
    settled, contract = result.settled, result.contract
    rows, columns = settled.tile
    lines = [
        f"{out}: {contract.name} {contract.version}, {contract.adopted.framework}",  # type: ignore[union-attr]
        f"lesion: {', '.join(settled.names[one] for one in settled.lesions)}; "
        f"{settled.spacing_mm:g} mm a pixel; "
        + ("any size" if settled.free else f"tiles of {rows}x{columns}"),
        f"sample: {picture_of(out)}, {len(result.findings.regions)} region(s), "
        f"score {result.findings.has_mask.score:.3f}",
    ]
    if result.found is not None:
        lines.append(f"proven: {result.found}")
    lines += [f"note: {one}" for one in result.remarks]
    lines += [f"every answer warns: {', '.join(warnings_of(result))}"]
    lines += [f"next: MAMMOSEG_MODEL={out} mammoseg serve"]
    for line in lines:
        console.print(line, markup=False, highlight=False)


if __name__ == "__main__":
    app()
