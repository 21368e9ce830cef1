"""`mammoseg segment` tells the audit trail whose images it reads, and where their results go."""

from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pytest

from service.audit.trail import NO_TRAIL, AuditTrail
from service.batch.audited import audited
from service.batch.results import NotWritten
from service.findings import Findings
from service.imaging.source_header import look
from service.settings import Settings
from tests.service.audit.recorded import told
from tests.service.inbox.conftest import STUDY, mammogram

pytestmark = pytest.mark.integration


def findings() -> Findings:
    header = look(mammogram(PatientName="ZANARIE")).header
    return cast(Findings, SimpleNamespace(mammogram=SimpleNamespace(header=header)))


def test_what_is_read_from_a_folder_and_written_into_one_is_told(tmp_path: Path) -> None:
    out = tmp_path / "out"
    options = Settings(audit="syslog-tcp://127.0.0.1:9").audit_options(tmp_path / "audit")
    with AuditTrail("mammoseg segment", options) as trail:
        with audited(trail, findings(), tmp_path, out):
            pass
        with pytest.raises(NotWritten), audited(trail, findings(), tmp_path, out):
            raise NotWritten("no room")
    found = told(tmp_path / "audit")[1:-1]
    assert [(each.event, each.action, each.outcome, each.why) for each in found] == [
        ("Import", "C", "0", None),
        ("Export", "R", "0", None),
        ("Import", "C", "0", None),
        ("Export", "R", "8", "not-written"),
    ]
    assert found[0].users[1] == tmp_path.as_uri() and found[1].users[1] == out.as_uri()
    assert all(each.objects == [STUDY, "42"] and b"ZANARIE" in each.raw for each in found)


def test_where_there_is_no_trail_the_header_is_not_even_read(tmp_path: Path) -> None:
    nothing = cast(Findings, SimpleNamespace(mammogram=SimpleNamespace()))
    with audited(NO_TRAIL, nothing, tmp_path, tmp_path):
        pass
