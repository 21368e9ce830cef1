"""`mammoseg follow` between a real Orthanc and the real service."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from service.integration.commands import PASSWORD, USERNAME
from tests import http_client
from tests.dicom_files import multi_frame_file, phantom
from tests.e2e.conftest import Service, serving
from tests.e2e.pacs import (
    EACH_SYNTAX,
    RESULTS,
    SYNTAXES,
    arrivals,
    assert_filed_under_source,
    in_syntax,
    results_in,
    send,
    wait_for,
    wait_for_results,
)
from tests.identity_net import write_identity_net, write_scored_net
from tests.orthanc import Orthanc, running_orthanc
from tests.ports import free_port

pytestmark = pytest.mark.e2e

KEY = "not a real password"


@dataclass(frozen=True)
class Following:
    """A running follower."""

    process: "subprocess.Popen[bytes]"
    log: Path
    cursor: Path

    def events(self, name: str) -> list[dict[str, object]]:
        """Return what it logged under a name."""
        lines = map(json.loads, self.log.read_text().splitlines())
        return [line for line in lines if line["event"] == name]


@contextmanager
def following(orthanc: Orthanc, service_url: str, folder: Path) -> Iterator[Following]:
    log, cursor = folder / "follow.log", folder / "cursor.json"
    url = orthanc.url.replace(f"mammoseg:{KEY}@", "")
    command = [sys.executable, "-m", "service", "follow", "--orthanc", url]
    command += ["--service", service_url, "--kinds", ",".join(RESULTS), "--cursor", str(cursor)]
    command += ["--modalities", "MG,RG", "--period", "0.2", "--longest-wait", "1"]
    with log.open("ab") as sink:
        process = subprocess.Popen(
            command, env=os.environ | {USERNAME: "mammoseg", PASSWORD: KEY}, stderr=sink
        )
    follower = Following(process, log, cursor)
    try:
        wait_for("the follower starts", lambda: follower.events("follow-from"))
        yield follower
    finally:
        process.kill()
        process.wait()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("follow")


@pytest.fixture(scope="module")
def orthanc(folder: Path) -> Iterator[Orthanc]:
    access = {"AuthenticationEnabled": True, "RegisteredUsers": {"mammoseg": KEY}}
    # A resend then is a change again.
    with running_orthanc(folder, OverwriteInstances=True, **access) as orthanc:
        yield orthanc


@pytest.fixture(scope="module")
def service(folder: Path) -> Iterator[Service]:
    # How soon an image is read is another test's matter.
    model = write_identity_net(folder / "identity.onnx")
    with serving(
        folder, model=str(model), accept_modalities="MG,RG", reader_deadline_s="100"
    ) as service:
        yield service


@pytest.fixture(scope="module")
def follower(orthanc: Orthanc, service: Service, folder: Path) -> Iterator[Following]:
    with following(orthanc, service.url, folder) as follower:
        yield follower


def segmented(service: Service) -> float:
    """How many images the service answered."""
    lines = http_client.get(f"{service.url}/metrics", timeout=30).text.splitlines()
    asked = [line for line in lines if line.startswith('mammoseg_requests_total{route="/v1/segm')]
    return sum(float(line.split()[-1]) for line in asked)


@pytest.mark.parametrize("number", EACH_SYNTAX)
def test_results_of_every_transfer_syntax_appear_in_the_study(
    orthanc: Orthanc, follower: Following, cbis_files: list[Path], tmp_path: Path, number: int
) -> None:
    file = in_syntax(cbis_files[number], SYNTAXES[number], tmp_path)
    study = send(orthanc, file, SYNTAXES[number])
    found = wait_for_results(orthanc, study, f"results of {SYNTAXES[number]}")
    assert_filed_under_source(orthanc, file, found)


def test_results_of_the_wg04_film_appear_in_the_study(
    orthanc: Orthanc, follower: Following, shared_data: Path
) -> None:
    file = shared_data / "dicom" / "MG1_J2KI.dcm"
    study = send(orthanc, file, "jpeg-2000-lossy")
    found = wait_for_results(orthanc, study, "results of the WG04 film")
    assert_filed_under_source(orthanc, file, found)


def test_a_resend_changes_nothing_and_no_result_is_followed(
    orthanc: Orthanc, follower: Following, service: Service, cbis_files: list[Path]
) -> None:
    study = send(orthanc, cbis_files[5], "rle")
    before = wait_for_results(orthanc, study, "results before the resend")
    wait_for("the log", lambda: follower.events("followed"))
    asked, done = segmented(service), len(follower.events("followed"))
    files = {name: orthanc.file(name) for name in before.values()}
    assert send(orthanc, cbis_files[5], "rle") == study
    wait_for("the resend is seen", lambda: len(follower.events("followed")) > done)
    assert follower.events("followed")[-1]["stored"] == []
    assert results_in(orthanc, study) == before
    assert {name: orthanc.file(name) for name in before.values()} == files

    arrived, newest = arrivals(orthanc), orthanc.get("changes?last")["Last"]
    wait_for("all is read", lambda: json.loads(follower.cursor.read_text())["last"] >= newest)
    assert arrivals(orthanc) == arrived
    # Once more where the clock shows that it was stored after its results: the same came out.
    assert segmented(service) <= asked + 1
    assert not follower.events("results-differ")


@pytest.mark.long
def test_while_the_service_is_down_it_waits_and_then_is_done(
    orthanc: Orthanc, cbis_files: list[Path], tmp_path: Path
) -> None:
    # Another net than that of the follower of all tests here: else that one stores these results.
    model, port = write_scored_net(tmp_path / "scored.onnx", 1.0), free_port()
    with following(orthanc, f"http://127.0.0.1:{port}", tmp_path) as follower:
        study = send(orthanc, cbis_files[6], "rle")
        wait_for("it is tried again", lambda: len(follower.events("not-now")) > 2)
        assert follower.events("not-now")[-1]["attempts"] == 0
        assert results_in(orthanc, study).keys() <= RESULTS.keys()
        with serving(tmp_path, port, model=str(model)):
            wait_for("it is done", lambda: follower.events("followed"))
            assert follower.events("followed")[-1]["stored"] == list(RESULTS)
        follower.process.send_signal(signal.SIGTERM)
        assert follower.process.wait(timeout=60) == 0


def test_an_image_that_is_refused_holds_up_nothing(orthanc: Orthanc, follower: Following) -> None:
    uids: dict[str, Any] = {
        "PatientID": "1",
        "StudyInstanceUID": "1.2.3",
        "SeriesInstanceUID": "1.2.3.4",
    }
    orthanc.store(multi_frame_file([phantom(), phantom()], **uids))
    wait_for("the refusal", lambda: follower.events("refused"))
    assert [event["code"] for event in follower.events("refused")] == ["multi-frame"]
    assert follower.process.poll() is None


@pytest.mark.long
def test_started_again_it_goes_on_where_it_was(
    orthanc: Orthanc, service: Service, cbis_files: list[Path], tmp_path: Path
) -> None:
    with following(orthanc, service.url, tmp_path) as follower:
        follower.process.send_signal(signal.SIGTERM)
        assert follower.process.wait(timeout=60) == 0
    study = send(orthanc, cbis_files[7], "rle")
    time.sleep(0.5)
    with following(orthanc, service.url, tmp_path):
        wait_for_results(orthanc, study, "results of what came while it was away")
