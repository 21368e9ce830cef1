"""Findings -> files in a folder, as the command line writes them."""

from pathlib import Path

from service.findings import Findings
from service.outputs.png import mask_png, overlay_png
from service.outputs.result import result_of
from service.system.whole_file import whole_file

OVERLAY_SIDE = 1024
"""Longest side of the overlay, in pixels."""


def write_findings(folder: Path, name: str, findings: Findings) -> None:
    """Write `<name>.json`, `<name>-mask.png` and `<name>-overlay.png`."""
    document = result_of(findings, (), 0).model_dump_json(indent=1)
    write_whole(folder / f"{name}.json", document.encode())
    write_whole(folder / f"{name}-mask.png", mask_png(findings))
    write_whole(folder / f"{name}-overlay.png", overlay_png(findings, OVERLAY_SIDE))


def write_whole(path: Path, content: bytes) -> None:
    """Write a file under another name and rename it: it is there whole, or as it was before.

    Raises
    ------
    OSError
        It cannot be written.
    """
    with whole_file(path) as partial:
        partial.write_bytes(content)
