"""What `pull` and `follow` do with a server is in the audit trail."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import httpx
import pytest

from service.audit.trail import AuditTrail
from service.dicomweb.archive import InstanceUids, ServerFailed
from service.dicomweb.audited import RemoteAudit
from service.imaging.limits import ReadLimits
from service.integration import pull as module
from service.integration.cursor import Cursor
from service.integration.follow import Follower, FollowOptions
from service.integration.orthanc import Orthanc
from service.integration.pull import Pull
from service.integration.service_client import ServiceClient
from service.settings import Settings
from tests.service.audit.recorded import Told, told
from tests.service.audit.schema import faults_of
from tests.service.inbox.conftest import STUDY, mammogram
from tests.service.integration.test_follow import Pair

pytestmark = pytest.mark.integration

URL = "http://me:secret@pacs.clinic/dicom-web"  # pragma: allowlist secret
SHOWN = "http://pacs.clinic/dicom-web"
BEGIN, END = "Begin Transferring DICOM Instances", "DICOM Instances Transferred"


@contextmanager
def auditing(folder: Path, url: str = URL) -> Iterator[RemoteAudit]:
    options = Settings(audit="syslog-tcp://127.0.0.1:9").audit_options(folder)
    with AuditTrail("mammoseg test", options) as trail:
        yield RemoteAudit(trail, url)


def between(folder: Path) -> list[Told]:
    first, *rest, last = told(folder)
    assert (first.event, last.event) == ("Application Start", "Application Stop")
    return rest


class PacsArchive:
    """Holds one mammogram and one that cannot be had."""

    study_uid, study_url = STUDY, f"{URL}/studies/{STUDY}"

    def __init__(self, failed: int = 0) -> None:
        self._failed = failed

    def mammograms(self, _: object) -> Iterator[InstanceUids]:
        yield InstanceUids(f"{STUDY}.1", f"{STUDY}.1.1")
        yield InstanceUids(f"{STUDY}.1", f"{STUDY}.1.2")
        raise ServerFailed("search-incomplete")

    def retrieve(self, reference: InstanceUids) -> bytes:
        if reference.instance_uid.endswith(".2"):
            raise ServerFailed("http-404")
        return mammogram()

    def store(self, files: list[bytes]) -> int:
        return self._failed


@pytest.mark.parametrize(("failed", "outcome", "why"), [(0, "0", None), (1, "4", "not-stored")])
def test_pull_tells_of_its_search_its_transfers_and_its_export(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, failed: int, outcome: str, why: str | None
) -> None:
    monkeypatch.setattr(module, "dicom_files", lambda kinds, _: [mammogram(9)])
    monkeypatch.setattr(module, "write_findings", lambda *_: None)
    segmenter = cast(Any, SimpleNamespace(segment=lambda *_, **__: _findings()))
    out = tmp_path / "out"
    out.mkdir()
    with auditing(tmp_path / "audit") as audit:
        pull = Pull(segmenter, ReadLimits(), ("sr",), out, True, audit)
        report = SimpleNamespace(done=lambda *_: None, refused=lambda *_: None)
        with pytest.raises(ServerFailed):
            pull.run(cast(Any, PacsArchive(failed)), cast(Any, report))
    found = between(tmp_path / "audit")
    assert [(each.event, each.action, each.outcome, each.why) for each in found] == [
        (END, "C", "0", None),
        ("Export", "R", "0", None),
        (BEGIN, "E", "0", None),
        (END, "R", outcome, why),
        (END, "R", "4", "http-404"),
        ("Query", "E", "4", "search-incomplete"),
    ]
    assert all(each.requestor["UserName"] == "mammoseg test" for each in found)
    assert found[0].users[0] == SHOWN and found[3].users[1] == SHOWN
    assert found[1].users[1] == out.as_uri()
    assert found[0].objects == [STUDY, "42"] and found[4].objects == [STUDY, "<none>"]
    assert not any(b"secret" in each.raw for each in found)
    assert not faults_of((each.raw for each in found), tmp_path)


def _findings() -> Any:
    return SimpleNamespace(has_mask=SimpleNamespace(score=0.5))


def test_follow_tells_of_what_it_fetches_and_stores(tmp_path: Path) -> None:
    pair = Pair()
    pacs = httpx.Client(base_url="http://o", transport=httpx.MockTransport(pair.orthanc))
    server = httpx.Client(base_url="http://s", transport=httpx.MockTransport(pair.service))
    with pacs, server, auditing(tmp_path / "audit", "http://o") as audit:
        follower = Follower(
            Orthanc(pacs),
            ServiceClient(server),
            Cursor(tmp_path / "cursor.json", 0),
            FollowOptions(period_s=0.0, longest_wait_s=0.0, attempts=3),
            audit=audit,
        )
        pair.follower = follower
        follower.run()
    found = between(tmp_path / "audit")
    assert [each.event for each in found] == [END, BEGIN, END, BEGIN, END]
    assert {each.outcome for each in found} == {"0"}
    assert found[0].users[0] == "http://o"
    assert not faults_of((each.raw for each in found), tmp_path)
