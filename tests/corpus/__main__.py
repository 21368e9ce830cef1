"""`python -m tests.corpus OUT`: one mammogram in every form that a site may send it.

Writes the files and `manifest.csv`: what is particular about each, where the rule stands, and what
a service should answer, for trying this one or others.
"""

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from tests.corpus.write import MANIFEST, write_corpus


def main(
    out: Annotated[Path, typer.Argument(help="Folder to write.")],
    side: Annotated[int, typer.Option(min=0, help="Longest side, pixels; 0 for full size.")] = 1024,
) -> None:
    """Write the corpus."""
    count = write_corpus(out, side)
    Console().print(f"{count} files in {out}, described in {out / MANIFEST}")


if __name__ == "__main__":
    typer.run(main)
