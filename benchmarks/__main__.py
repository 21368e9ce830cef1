"""All figures in one run: python -m benchmarks [--quick] [--only NAME]... [--model FILE].

With --avx2-only as on a machine without AVX-512 and AMX. The table is of ratios taken in turns; the
JSON beside it says machine, load and versions.
"""

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from benchmarks import (
    against_peers,
    avx2_only,
    core_time,
    crowd,
    endurance,
    growth,
    leavers,
    scheduling,
    sleeping_device,
    starting,
    throughput,
)
from benchmarks.figures import Figure, machine, save, table_of
from benchmarks.plan import Plan
from service.logs import configure_logs
from service.models import BUNDLED_MODEL

MEASURES = {
    "scheduling": scheduling,
    "core_time": core_time,
    "throughput": throughput,
    "peers": against_peers,
    "crowd": crowd,
    "leavers": leavers,
    "starting": starting,
    "endurance": endurance,
    "growth": growth,
    "sleeping_device": sleeping_device,
}
RESULTS = Path(__file__).parent / "results"


def main(
    model: Annotated[Path, typer.Option(help="ONNX file.")] = BUNDLED_MODEL,
    quick: Annotated[bool, typer.Option(help="Fewer rounds and requests.")] = False,
    only: Annotated[list[str] | None, typer.Option(help=f"Of {', '.join(MEASURES)}.")] = None,
    results: Annotated[Path, typer.Option(help="Folder for the JSON.")] = RESULTS,
    hide: Annotated[bool, typer.Option("--avx2-only", help="As without AVX-512 and AMX.")] = False,
) -> None:
    """Measure, print the tables, and keep the figures."""
    if hide and not avx2_only.is_on():
        raise typer.Exit(avx2_only.run_again())
    console = Console(width=140)
    configure_logs("error", "console")
    taken: dict[str, list[Figure]] = {}
    unknown = set(only or ()) - set(MEASURES)
    if unknown:
        raise typer.BadParameter(f"no such figures: {', '.join(sorted(unknown))}")
    with console.status("starting") as status:
        plan = Plan(model.resolve(), quick, status.update)
        for name in only or MEASURES:
            taken[name] = MEASURES[name].measure(plan)
            console.print(table_of(name.replace("_", " "), taken[name]))
    file = save(results, taken, f"{plan.contract.name} {plan.contract.version}")
    console.print(machine())
    console.print(f"kept in {file}")


if __name__ == "__main__":
    typer.run(main)
