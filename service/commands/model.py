"""`mammoseg model info`, `verify` and `sign`: an ONNX file, by itself."""

import json
from contextlib import closing
from pathlib import Path
from typing import Annotated, NoReturn

import typer
from rich.table import Table
from rich.text import Text

from service.errors import StartupError
from service.exit_status import SOME_FAILED, WRITE_FAILED
from service.inference.contract import Contract
from service.inference.device import DeviceChoice, resolve_device
from service.inference.golden import check_golden
from service.inference.memory_bound import memory_to_open
from service.inference.model_file import ModelFile
from service.inference.session import Session
from service.inference.signature_path import signature_path
from service.logs import configure_logs
from service.models import BUNDLED_MODEL
from service.outputs.files import write_whole
from service.startup.models import open_net, read_signed
from service.terminal import console, settings_or_exit, stderr

app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    help="Say what an ONNX file is, prove it on the device, or sign it.",
)

File = Annotated[Path | None, typer.Argument(help="An ONNX file; the bundled one by default.")]


@app.command()
def info(
    file: File = None,
    as_json: Annotated[bool, typer.Option("--json", help="The whole contract, as JSON.")] = False,
) -> None:
    """Say what a model is: its contract, thresholds, licence and figures.

    Exit status: 0; 1 where the file is no model or its contract does not hold.
    """
    configure_logs("warning", "console")
    session = _opened(file or BUNDLED_MODEL)
    contract = session.contract
    if as_json:
        told = contract.model_dump(mode="json", exclude={"golden"}) | {"sha256": session.sha256}
        console.print_json(json.dumps(told))
        return
    table = Table(box=None, show_header=False, padding=(0, 2, 0, 0))
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    for name, value in _told_of(contract, session.sha256):
        table.add_row(name, Text(value))
    console.print(table)


@app.command()
def verify(
    file: File = None,
    device: Annotated[
        DeviceChoice | None, typer.Option(help="Where to prove it; MAMMOSEG_DEVICE by default.")
    ] = None,
    key: Annotated[
        list[Path] | None,
        typer.Option(help="Public key that must have signed it; MAMMOSEG_MODEL_KEY by default."),
    ] = None,
) -> None:
    """Prove a model: its contract holds, and its golden tile comes out right on the device.

    With a key, also that it was signed: several keys mean that one of them did.

    Exit status: 0; 1 where it does not hold.
    """
    settings = settings_or_exit(device=device, model_key=tuple(key) if key else None)
    configure_logs("warning", "console")
    path = file or BUNDLED_MODEL
    chosen = resolve_device(settings.device)
    try:
        model = read_signed(settings, path)
        with memory_to_open(1):
            session = Session.open(model)
            deviation = check_golden(session)
        contract, setup = session.contract, ""
        if chosen != "cpu":
            with closing(open_net(model, device=chosen, gpu=settings.gpu())) as net:
                setup = f" ({net.model_info.setup})"
    except StartupError as error:
        _refuse(path, error)
    console.print(
        f"{path}: {contract.name} {contract.version}, contract {contract.contract_version} holds; "
        f"the golden tile is reproduced within {deviation:.1e} on the CPU, tolerance "
        f"{contract.golden.tolerance:.1e}" + (f", and within it on {chosen}{setup}" * bool(setup)),
        markup=False,
        soft_wrap=True,
    )
    console.print(f"sha256 {session.sha256}", markup=False, highlight=False, soft_wrap=True)
    if settings.model_key:
        console.print(f"signed, see {signature_path(path)}", markup=False, soft_wrap=True)


@app.command()
def sign(
    file: Annotated[Path, typer.Argument(help="An ONNX file.")],
    key: Annotated[Path, typer.Option(help="Private key, PEM: ECDSA on P-256, P-384 or P-521.")],
    out: Annotated[
        Path | None, typer.Option(help="The signature's file; FILE.sig by default.")
    ] = None,
) -> None:
    """Sign a model: all its bytes, the weights included; nobody is asked over a network.

    The signature is what `model_signing verify key` takes, too. A key with a password asks for it.

    \b
    openssl ecparam -name prime256v1 -genkey -noout -out model-key.pem
    openssl ec -in model-key.pem -pubout -out model-key.pub
    mammoseg model sign model.onnx --key model-key.pem
    mammoseg model verify model.onnx --key model-key.pub

    Exit status: 0; 1 where the file is no model or the key cannot sign; 4 where nothing can be
    written.
    """  # noqa: D301 - click looks for this very character
    configure_logs("warning", "console")
    path = out or signature_path(file)
    try:
        signature = _signature(file, key)
    except StartupError as error:
        _refuse(file, error)
    try:
        write_whole(path, signature)
    except OSError as error:
        stderr.print(f"{path}: {error.strerror}", style="red", markup=False, soft_wrap=True)
        raise typer.Exit(WRITE_FAILED) from None
    console.print(f"{path} signs {file}", markup=False, highlight=False, soft_wrap=True)


def _signature(file: Path, key: Path) -> bytes:
    # It takes 10 MiB.
    from service.inference.signature import KeyNeedsPassword, sign

    content = ModelFile.read(file).content
    try:
        return sign(file, content, key)
    except KeyNeedsPassword:
        password = typer.prompt("Password of the key", hide_input=True, err=True)
        return sign(file, content, key, password.encode())


def _opened(path: Path) -> Session:
    try:
        return Session.open(path)
    except StartupError as error:
        _refuse(path, error)


def _refuse(path: Path, error: StartupError) -> NoReturn:
    stderr.print(f"{path}: {error}", style="red", markup=False, soft_wrap=True)
    raise typer.Exit(SOME_FAILED)


def _told_of(contract: Contract, sha256: str) -> list[tuple[str, str]]:
    """Return what a person wants to know of a model, name and value."""
    point, tiling, provenance = contract.operating_point, contract.tiling, contract.provenance
    found = (
        ""
        if point.sensitivity is None
        else f", to find {point.sensitivity:.0%} of images with lesions"
    )
    return [
        ("model", f"{contract.name} {contract.version}"),
        ("sha256", sha256),
        ("input", f"{tiling.tile_size} x {tiling.tile_size} pixels of {contract.input.dtype}"),
        ("pixel spacing", f"{contract.spacing.working_mm:g} mm"),
        ("without spacing", f"long side taken as {contract.spacing.assumed_long_side_mm:g} mm"),
        ("images accepted", ", ".join(contract.accepted_intents)),
        ("has-mask threshold", f"{point.has_mask:g}{found}"),
        ("chosen by", point.chosen_by),
        ("mask threshold", f"{point.mask:g}"),
        ("candidate threshold", f"{point.candidate:g}"),
        ("smallest region", f"{point.minimum_region_mm2:g} mm2"),
        ("intended use", provenance.intended_use),
        ("licence", provenance.licence),
        ("trained on", ", ".join(provenance.training_data)),
        ("figures", f"{len(provenance.evaluation)}: see --json"),
    ]
