"""`mammoseg archive` on a Ray cluster of two machines, of which one is lost in the middle."""

import json
import os
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import pytest

from service.batch.archive.ledger import NAME
from tests.archive_files import instance_uid, write_archive
from tests.identity_net import write_identity_net
from tests.ray.cluster import two_machines

pytestmark = [pytest.mark.e2e, pytest.mark.heavy]

pytest.importorskip("ray.data", reason="needs the extra ray")
parquet = pytest.importorskip("pyarrow.parquet", reason="needs the extra archive")

COUNT = int(os.environ.get("ARCHIVE_TEST_IMAGES", "200"))


def started(source: Path, out: Path, model: Path, address: str) -> "subprocess.Popen[str]":
    command = [sys.executable, "-m", "service", "archive", str(source), "--out", str(out)]
    return subprocess.Popen(
        [*command, "--format", "json", "--ray", address],
        env=os.environ | {"MAMMOSEG_MODEL": str(model), "MAMMOSEG_DEVICE": "cpu"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def until_done(out: Path, count: int, process: "subprocess.Popen[str]") -> None:
    """Wait until some images have their result."""
    while sum(1 for _ in (out / "images").glob("*/*.json")) < count:
        assert process.poll() is None, process.stderr and process.stderr.read()
        time.sleep(0.5)


def test_no_image_is_lost_or_doubled_when_a_machine_is_lost_and_the_command_killed(
    tmp_path: Path,
) -> None:
    source, out = write_archive(tmp_path / "archive", COUNT, (120, 96)), tmp_path / "out"
    model = write_identity_net(tmp_path / "identity.onnx")
    with two_machines() as (cluster, other):
        process = started(source, out, model, cluster.address)
        until_done(out, COUNT // 4, process)
        # kill -9 of the command, and the same again.
        process.kill()
        process.communicate()
        process = started(source, out, model, cluster.address)
        until_done(out, COUNT // 2, process)
        cluster.remove_node(other, allow_graceful=False)
        _, faults = process.communicate(timeout=1200)
    assert process.returncode == 0, faults
    rows = parquet.read_table(out / "scores.parquet").to_pylist()
    assert [row["image"] for row in rows] == [instance_uid(number) for number in range(COUNT)]
    assert len(list((out / "images").rglob("*.json"))) == COUNT
    told = json.loads((out / "summary.json").read_bytes())
    assert told["items"] == {"done": COUNT}
    assert told["this_run"]["kept"] >= COUNT // 4
    assert told["engine"].startswith("Ray, ")
    with sqlite3.connect(out / NAME) as connection:
        assert connection.execute("SELECT COUNT(*) FROM image").fetchone() == (COUNT,)
    connection.close()
