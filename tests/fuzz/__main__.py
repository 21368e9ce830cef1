"""`python -m tests.fuzz TARGET --seconds N`: fuzz one target, guided by coverage.

Needs the extra `fuzz`. What it finds lies in the folder `--out`, `crash-*`, `timeout-*`, `oom-*`;
run one again with `--again FILE`.
"""

import tempfile
from pathlib import Path
from random import Random
from typing import Annotated

import atheris
import typer

with atheris.instrument_imports(include=["service", "pydicom"]):
    from tests.fuzz.targets import MAX_INPUT_BYTES, TARGETS

from tests.fuzz.peak import peak_bytes

SLOWEST_S = 10
MAX_MIB = 1536
"""Of the whole process, in which the fuzzer keeps what it found; one input has its own bound."""


def main(
    target: Annotated[str, typer.Argument(help=", ".join(TARGETS))],
    seconds: Annotated[int, typer.Option(help="How long.")] = 60,
    out: Annotated[Path, typer.Option(help="Folder for what is found.")] = Path("build/fuzz"),
    again: Annotated[Path | None, typer.Option(help="Run this one file and stop.")] = None,
    seed: Annotated[int, typer.Option(help="Of the random numbers.")] = 1,
) -> None:
    """Fuzz."""
    chosen = TARGETS[target]

    def one_input(data: bytes) -> None:
        peak = peak_bytes(lambda: chosen.run(data))
        assert peak <= chosen.bound, f"{peak >> 20} MiB"

    def change(data: bytes, longest: int, seed: int) -> bytes:
        rng = Random(seed)
        # The fuzzer's own changes know the coverage, and ours the format.
        if rng.random() < 0.3:
            return bytes(atheris.Mutate(data, longest))
        return chosen.change(data, rng)[:longest]

    if again is not None:
        one_input(again.read_bytes())
        return
    out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as corpus:
        for number, body in enumerate(chosen.seeds()):
            (Path(corpus) / str(number)).write_bytes(body)
        options = {
            "max_total_time": seconds,
            "timeout": SLOWEST_S,
            "rss_limit_mb": MAX_MIB,
            "max_len": MAX_INPUT_BYTES,
            "artifact_prefix": f"{out}/",
            "seed": seed,
            "print_final_stats": 1,
        }
        arguments = [f"-{name}={value}" for name, value in options.items()]
        atheris.Setup(["fuzz", *arguments, corpus], one_input, custom_mutator=change)
        atheris.Fuzz()


if __name__ == "__main__":
    typer.run(main)
