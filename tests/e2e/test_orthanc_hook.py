"""deploy/orthanc: the Lua hook in a real Orthanc, the inbox of the real service, and back."""

import json
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests import http_client
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
from tests.identity_net import write_identity_net
from tests.orthanc import Orthanc, running_orthanc
from tests.ports import free_port

pytestmark = pytest.mark.e2e

HOOK = Path(__file__).parents[2] / "deploy" / "orthanc"


@contextmanager
def hooked(folder: Path, service_port: int) -> Iterator[Orthanc]:
    """Run Orthanc as deploy/orthanc/orthanc.json says, with other ports and paths."""
    configuration: dict[str, Any] = json.loads((HOOK / "orthanc.json").read_text())
    configuration["LuaScripts"] = [str(HOOK / "mammoseg.lua")]
    server = configuration["DicomWeb"]["Servers"]["mammoseg"]
    server["Url"] = f"http://127.0.0.1:{service_port}/dicom-web/"
    # The script is what a heart beat calls; Debian's Orthanc 1.10 has none.
    more = {"ExecuteLuaEnabled": True, "OverwriteInstances": True}
    with running_orthanc(folder, **(configuration | more)) as orthanc:
        yield orthanc


def beat(orthanc: Orthanc) -> None:
    """Do what Orthanc from 1.11.1 on does every LuaHeartBeatPeriod seconds."""
    http_client.post(
        f"{orthanc.url}/tools/execute-script", content="OnHeartBeat()"
    ).raise_for_status()


def said(orthanc: Orthanc, words: str) -> int:
    return (orthanc.folder / "orthanc.log").read_text().count(f"mammoseg: {words}")


@contextmanager
def delivering(folder: Path, port: int, orthanc: Orthanc, **settings: str) -> Iterator[Service]:
    settings |= {"destinations": orthanc.dicomweb, "inbox": str(folder / "inbox")}
    # How soon an image is read is another test's matter.
    settings |= {"reader_deadline_s": "100"}
    with serving(folder, port, inbox_results=",".join(RESULTS), **settings) as service:
        yield service


@pytest.fixture(scope="module")
def joined(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Orthanc, Service]]:
    folder, port = tmp_path_factory.mktemp("hook"), free_port()
    model = str(write_identity_net(folder / "identity.onnx"))
    with hooked(folder, port) as orthanc, delivering(folder, port, orthanc, model=model) as service:
        yield orthanc, service


@pytest.mark.parametrize("number", EACH_SYNTAX)
def test_results_of_every_transfer_syntax_appear_in_the_study(
    joined: tuple[Orthanc, Service], cbis_files: list[Path], tmp_path: Path, number: int
) -> None:
    orthanc, _ = joined
    file = in_syntax(cbis_files[number], SYNTAXES[number], tmp_path)
    study = send(orthanc, file, SYNTAXES[number])
    found = wait_for_results(orthanc, study, f"results of {SYNTAXES[number]}")
    assert_filed_under_source(orthanc, file, found)


def test_a_resend_changes_nothing_and_no_result_is_sent(
    joined: tuple[Orthanc, Service], cbis_files: list[Path]
) -> None:
    orthanc, service = joined
    already = stored(service)
    study = send(orthanc, cbis_files[5], "rle")
    before = wait_for_results(orthanc, study, "results before the resend")
    files = {name: orthanc.file(name) for name in before.values()}
    sent = said(orthanc, "sent")
    assert send(orthanc, cbis_files[5], "rle") == study
    wait_for("the resend is sent on", lambda: said(orthanc, "sent") > sent)
    arrived = arrivals(orthanc)
    assert results_in(orthanc, study) == before
    assert {name: orthanc.file(name) for name in before.values()} == files
    # Twice the image; not one of the results that were stored in between.
    assert stored(service) == already + 2
    assert arrivals(orthanc) == arrived


def stored(service: Service) -> float:
    """How many STOW-RS requests the service answered."""
    route = 'mammoseg_requests_total{route="/dicom-web/studies"'
    lines = http_client.get(f"{service.url}/metrics", timeout=30).text.splitlines()
    return sum(float(line.split()[-1]) for line in lines if line.startswith(route))


def test_down_and_restarted_nothing_is_lost(cbis_files: list[Path], tmp_path: Path) -> None:
    port, model = free_port(), write_identity_net(tmp_path / "identity.onnx")
    with hooked(tmp_path, port) as orthanc:
        study = send(orthanc, cbis_files[6], "rle")
        wait_for("it fails", lambda: said(orthanc, "not sent"))
        other = send(orthanc, cbis_files[7], "rle")
        wait_for("the next fails", lambda: said(orthanc, "not sent") > 1)
    # Orthanc was killed, and forgot what it was about to do but for what is in its database.
    with hooked(tmp_path, port) as orthanc:
        wait_for("both are tried anew", lambda: said(orthanc, "not sent") > 3)
        with delivering(tmp_path, port, orthanc, model=str(model)):

            def both_are_sent() -> bool:
                beat(orthanc)
                return said(orthanc, "sent") > 1

            wait_for("both are sent", both_are_sent)
            wait_for_results(orthanc, study, "results of the first")
            wait_for_results(orthanc, other, "results of the second")


def test_orthanc_does_not_wait_for_the_service(cbis_files: list[Path], tmp_path: Path) -> None:
    with (
        socket.create_server(("127.0.0.1", 0)) as silent,
        hooked(tmp_path, silent.getsockname()[1]) as orthanc,
    ):
        send(orthanc, cbis_files[0], "rle")
        job = wait_for("a job", lambda: orthanc.get("jobs"))[0]
        wait_for("it runs", lambda: orthanc.get(f"jobs/{job}")["State"] == "Running")
        send(orthanc, cbis_files[1], "rle")
        assert len(orthanc.get("instances")) == 2
        # Whoever took the connection never answered: what went on above did so meanwhile.
        assert orthanc.get(f"jobs/{job}")["State"] == "Running"
