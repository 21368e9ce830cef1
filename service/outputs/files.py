"""Findings -> files in a folder, as the command line writes them."""

from pathlib import Path

from service.findings import Findings
from service.outputs.png import mask_png, overlay_png
from service.outputs.result import result_of

OVERLAY_SIDE = 1024
"""Longest side of the overlay, in pixels."""


def write_findings(folder: Path, name: str, findings: Findings) -> None:
    """Write `<name>.json`, `<name>-mask.png` and `<name>-overlay.png`."""
    document = result_of(findings, (), 0).model_dump_json(indent=1)
    (folder / f"{name}.json").write_text(document)
    (folder / f"{name}-mask.png").write_bytes(mask_png(findings))
    (folder / f"{name}-overlay.png").write_bytes(overlay_png(findings, OVERLAY_SIDE))
