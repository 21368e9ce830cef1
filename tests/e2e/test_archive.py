"""`mammoseg archive` as a program: killed in the middle, twice at once, and of a PACS."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.archive_files import instance_uid, numbered, small_mammogram, write_archive
from tests.identity_net import write_identity_net
from tests.orthanc import running_orthanc

pytestmark = pytest.mark.e2e

parquet = pytest.importorskip("pyarrow.parquet", reason="needs the extra archive")

SHAPE = (120, 96)
COUNT = 60


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    model = write_identity_net(tmp_path_factory.mktemp("model") / "identity.onnx")
    settings = {"MODEL": str(model), "DEVICE": "cpu", "READERS": "1", "RUNNERS": "1"}
    return os.environ | {f"MAMMOSEG_{name}": value for name, value in settings.items()}


def command(source: object, out: Path) -> list[str]:
    module = [sys.executable, "-m", "service", "archive"]
    return [*module, str(source), "--out", str(out), "--format", "json,sr"]


def run(
    environment: dict[str, str], source: object, out: Path
) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        command(source, out), env=environment, capture_output=True, text=True, check=False
    )


def images(out: Path) -> list[str]:
    return [row["image"] for row in parquet.read_table(out / "scores.parquet").to_pylist()]


@pytest.mark.slow
@pytest.mark.long
def test_what_is_killed_in_the_middle_goes_on_and_loses_and_doubles_nothing(
    environment: dict[str, str], tmp_path: Path
) -> None:
    source, out = write_archive(tmp_path / "archive", COUNT, SHAPE), tmp_path / "out"
    for done in (COUNT // 6, COUNT // 3, COUNT // 2):
        with subprocess.Popen(command(source, out), env=environment, text=True) as process:
            while len(list(out.glob("images/*/*.json"))) < done:
                assert process.poll() is None
                time.sleep(0.02)
            # A second one on the same folder is refused, and disturbs nothing.
            if done == COUNT // 6:
                second = run(environment, source, out)
                assert second.returncode == 4
                assert "another process writes into" in second.stderr
            process.kill()
    ended = run(environment, source, out)
    assert ended.returncode == 0, ended.stderr
    assert images(out) == [instance_uid(number) for number in range(COUNT)]
    for kind in (".json", "-sr.dcm"):
        assert len(list(out.glob(f"images/*/*{kind}"))) == COUNT
    assert not list(out.rglob("*.partial"))
    told = json.loads((out / "summary.json").read_bytes())
    assert told["items"] == {"done": COUNT}
    assert told["this_run"]["kept"] >= COUNT // 3


@pytest.mark.long
def test_an_archive_of_a_pacs_is_found_fetched_and_segmented(
    environment: dict[str, str], tmp_path: Path
) -> None:
    out = tmp_path / "out"
    file = small_mammogram(SHAPE)
    with running_orthanc(tmp_path) as orthanc:
        for number in range(6):
            orthanc.store(numbered(file, number))
        everything = run(environment, orthanc.dicomweb, out)
        again = run(environment, orthanc.dicomweb, out)
        some = run(environment, f"{orthanc.dicomweb}/studies?StudyDate=19000101", tmp_path / "none")
    gone = run(environment, orthanc.dicomweb, out)
    assert everything.returncode == 0, everything.stderr
    assert images(out) == [instance_uid(number) for number in range(6)]
    assert "6 were done before" in again.stdout
    assert some.returncode == 2 and "there is no image" in some.stderr
    assert gone.returncode == 2
    assert "cannot be searched (unreachable)" in " ".join(gone.stderr.split())
