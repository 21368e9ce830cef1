"""The run on a GPU machine, rehearsed: packed, joined, and taken with the CPU as a stand-in."""

import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.figures import Figure
from benchmarks.gpu import bundles, go
from benchmarks.gpu.__main__ import _table
from benchmarks.gpu.steps import STEPS
from model_export.export.half import halve
from service.models import BUNDLED_MODEL

ROOT = Path(__file__).parents[2]
LIMIT = 2**23


def written(folder: Path, **contents: bytes) -> dict[str, Path]:
    for name, content in contents.items():
        (folder / name).write_bytes(content)
    return {f"deep/{name}": folder / name for name in contents}


@pytest.mark.unit
def test_files_go_into_bundles_of_a_bounded_size_and_come_back_whole(tmp_path: Path) -> None:
    contents = {"small": b"abc", "none": b"", "large": bytes(range(256)) * 2000}
    packed = bundles.pack(written(tmp_path, **contents), tmp_path / "out", 100_000)
    assert len(packed) > 4
    assert all(bundle.stat().st_size <= 100_000 for bundle in packed)
    found = bundles.unpack(reversed(packed), tmp_path / "back")
    assert {name: path.read_bytes() for name, path in found.items()} == {
        f"deep/{name}": content for name, content in contents.items()
    }


@pytest.mark.unit
def test_a_bundle_that_was_left_behind_is_missed(tmp_path: Path) -> None:
    packed = bundles.pack(written(tmp_path, large=b"x" * 300_000), tmp_path / "out", 100_000)
    with pytest.raises(ValueError, match="deep/large is not whole"):
        bundles.unpack(packed[:-1], tmp_path / "back")
    with pytest.raises(ValueError, match="no bundle"):
        bundles.unpack([], tmp_path / "nothing")


@pytest.mark.integration
def test_the_table_says_when_no_figure_is_a_gpu_s() -> None:
    rows = {"health": [Figure("p99", 12.0, "ms", note="of 9"), Figure("took longer", 0.0, "")]}
    assert _table(rows, stand_in=True).startswith("# Rehearsed on a CPU")
    assert "| health | p99 | 12 ms | of 9 |" in _table(rows, stand_in=False)
    assert "| health | took longer |  |  |" in _table(rows, stand_in=False)


@pytest.mark.slow
@pytest.mark.long
@pytest.mark.e2e
@pytest.mark.parametrize(
    "steps",
    [
        pytest.param(["setups-cuda", "half"], id="two"),
        pytest.param([*STEPS], id="all"),
    ],
)
def test_the_one_command_runs_without_a_person(
    cbis_files: list[Path], tmp_path: Path, steps: list[str]
) -> None:
    half, tree = tmp_path / "half.onnx", tmp_path / "tree.tar"
    halve(BUNDLED_MODEL, half, "9.9.9")
    subprocess.run(
        ["tar", "--exclude=__pycache__", "-cf", str(tree), "service", "benchmarks"],
        cwd=ROOT, check=True,
    )  # fmt: skip
    packed = {"tree.tar": tree, "half.onnx": half, "views/one.dcm": cbis_files[0]}
    made = bundles.pack(packed, tmp_path / "bundles", LIMIT)
    assert len(made) > 2
    out = tmp_path / "out"
    # As a stranger would start it: from anywhere, by the file alone.
    run = subprocess.run(
        [sys.executable, str(go.__file__), str(tmp_path / "bundles"), str(out),
         "--stand-in", "--short", "--minutes", "20", *(f"--only={step}" for step in steps)],
        cwd=tmp_path, capture_output=True, text=True, timeout=1260,
    )  # fmt: skip
    assert run.returncode == 0, run.stderr
    table = (out / "table.md").read_text(encoding="utf-8")
    assert table.startswith("# Rehearsed on a CPU") and run.stdout == table
    for step in STEPS:
        assert (f"| {step} | the step took |" in table) == (step in steps)
    for trouble in ("not begun", "ended with", "took longer", "refused"):
        assert trouble not in table
