from pathlib import Path

import pytest

from benchmarks.against_peers import OURS, Taken, figures_of
from benchmarks.figures import instructions

pytestmark = pytest.mark.unit


def test_ours_is_held_against_the_fastest_and_the_thriftiest_of_the_same_rounds() -> None:
    taken = {
        OURS: Taken([6.0, 8.0, 6.0], [0.2, 0.1, 0.2]),
        "fast": Taken([4.0, 4.0, 3.0], [0.5, 0.5, 0.5]),
        "thrifty": Taken([1.0, 1.0, 1.0], [0.1, 0.2, 0.2]),
    }
    *rows, pace, cost = figures_of("film", taken, 1.3)
    assert [row.value for row in rows] == [6.0, 4.0, 1.0]
    assert (pace.value, pace.note, pace.reached) == (2.0, "fast", True)
    assert (cost.value, cost.note, cost.reached) == (1.0, "thrifty", True)


def test_without_any_peer_there_is_nothing_to_be_held_against() -> None:
    assert len(figures_of("film", {OURS: Taken([6.0], [0.2])}, 1.3)) == 1


@pytest.mark.parametrize(
    ("flags", "named"),
    [
        ("fpu avx avx2", "AVX2"),
        ("avx2 avx512f avx512_vnni avx512_bf16 amx_tile", "AVX2, AVX-512, VNNI, BF16, AMX"),
        ("fpu", "unknown"),
    ],
)
def test_instruction_sets_are_named(tmp_path: Path, flags: str, named: str) -> None:
    file = tmp_path / "cpuinfo"
    file.write_text(f"processor\t: 0\nmodel name\t: Some\nflags\t\t: {flags}\n\n")
    assert instructions(file) == named
    assert instructions(tmp_path / "none") == "unknown"
