"""`mammoseg archive` tells the audit trail whose images it reads, and where their results go."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from typer.testing import CliRunner

from service.audit.instances import InstanceIdentity
from service.audit.trail import NO_TRAIL, AuditTrail
from service.batch.archive.audited import ArchiveAudit
from service.batch.archive.items import FileItem, InstanceItem, Item, Query
from service.batch.archive.judge import Answer, Judged
from service.batch.run import ItemOutcome
from service.cli import app
from service.dicomweb.archive import InstanceUids
from service.settings import Settings
from tests.archive_files import write_archive
from tests.identity_net import write_identity_net
from tests.service.audit.recorded import Told, told
from tests.service.audit.schema import faults_of
from tests.service.inbox.conftest import mammogram

pytestmark = pytest.mark.integration

STUDY = "1.2.3"
WHOSE = InstanceIdentity("1.2.840.10008.5.1.4.1.1.1.2", "1.2.3.4", STUDY, "42", "ZANARIE")
QUERY = Query("https://pacs.example/dicom-web", (("StudyDate", "20200101-"),), ("me", "secret"))
ON_SERVER = InstanceItem(STUDY, InstanceUids("1.2.3.9", "1.2.3.4"))


@pytest.fixture
def trail(tmp_path: Path) -> Iterator[AuditTrail]:
    options = Settings(audit="syslog-tcp://127.0.0.1:9").audit_options(tmp_path / "audit")
    with AuditTrail("mammoseg archive", options) as trail:
        yield trail


def between(folder: Path) -> list[Told]:
    found = told(folder / "audit")[1:]
    assert not faults_of((each.raw for each in found), folder)
    return found


def answer(item: Item, whose: InstanceIdentity | None = WHOSE) -> Answer:
    return ItemOutcome(item, "done", made=Judged("1.2.3.4", "0" * 64, {}, (), {}, whose))


def test_a_file_is_imported_and_its_results_are_exported(trail: AuditTrail, tmp_path: Path) -> None:
    audit, item = ArchiveAudit(trail, tmp_path / "out"), FileItem(tmp_path / "a.dcm")
    audit.taken(answer(item), "done")
    audit.taken(answer(item), "duplicate")
    audit.not_written(answer(item))
    audit.taken(answer(item, whose=None), "done")
    audit.taken(ItemOutcome(item, "refused", problem=("truncated", "")), "refused")
    audit.taken(ItemOutcome(item, "refused", problem=("intent", ""), whose=WHOSE), "refused")
    found = between(tmp_path)
    assert [(each.event, each.outcome, each.why) for each in found] == [
        ("Import", "0", None),
        ("Export", "0", None),
        ("Import", "0", None),
        ("Import", "0", None),
        ("Export", "8", "not-written"),
        ("Import", "0", None),
    ]
    assert found[0].users[1] == tmp_path.as_uri()
    assert found[1].users[1] == (tmp_path / "out").as_uri()
    assert all(each.objects == [STUDY, "42"] and b"ZANARIE" in each.raw for each in found)


def test_an_instance_is_fetched_or_it_is_said_why_not(trail: AuditTrail, tmp_path: Path) -> None:
    audit = ArchiveAudit(trail, tmp_path / "out", QUERY)
    audit.searched()
    audit.taken(answer(ON_SERVER), "done")
    fetched: Answer = ItemOutcome(ON_SERVER, "refused", problem=("intent", "Not for presentation."))
    audit.taken(fetched, "refused")
    audit.taken(replace(fetched, whose=WHOSE), "refused")
    audit.taken(replace(fetched, whose=InstanceIdentity()), "refused")
    gone: Answer = ItemOutcome(ON_SERVER, "refused", problem=("http-404", "Not there."))
    audit.taken(replace(gone, is_unavailable=True), "refused")
    audit.searched("unreachable")
    found = between(tmp_path)
    assert [(each.event, each.outcome, each.why) for each in found] == [
        ("Query", "0", None),
        ("DICOM Instances Transferred", "0", None),
        ("Export", "0", None),
        *[("DICOM Instances Transferred", "0", None)] * 3,
        ("DICOM Instances Transferred", "4", "http-404"),
        ("Query", "4", "unreachable"),
    ]
    assert found[1].objects == [STUDY, "42"]
    assert found[4].objects == [STUDY, "42"]
    assert {found[number].objects[0] for number in (3, 5, 6)} == {STUDY}
    assert b"secret" not in b"".join(each.raw for each in found)


def test_where_there_is_no_trail_nothing_is_told(tmp_path: Path) -> None:
    audit = ArchiveAudit(NO_TRAIL, tmp_path, QUERY)
    audit.taken(answer(ON_SERVER), "done")
    audit.not_written(answer(ON_SERVER))
    audit.searched()


def configure(folder: Path, model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = {"MODEL": model, "DEVICE": "cpu", "READERS": 1, "AUDIT": "syslog-tcp://127.0.0.1:9"}
    settings |= {"AUDIT_FOLDER": folder / "audit"}
    for name, value in settings.items():
        monkeypatch.setenv(f"MAMMOSEG_{name}", str(value))
    monkeypatch.delenv("RAY_ADDRESS", raising=False)


@pytest.mark.parametrize("command", ["segment", "archive"])
def test_an_image_that_was_read_and_refused_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, command: str
) -> None:
    if command == "archive":
        pytest.importorskip("pyarrow", reason="needs the extra archive")
    source = tmp_path / "source"
    source.mkdir()
    (source / "ct.dcm").write_bytes(mammogram(1, Modality="CT", PatientID="1"))
    (source / "rgb.dcm").write_bytes(
        mammogram(2, PhotometricInterpretation="RGB", SamplesPerPixel=3, PatientID="2")
    )
    (source / "broken.dcm").write_bytes(mammogram(3)[:140] + b"\xff" * 200)
    configure(tmp_path, write_identity_net(tmp_path / "identity.onnx"), monkeypatch)
    result = CliRunner().invoke(app, [command, str(source), "--out", str(tmp_path / "out")])
    assert result.exit_code == 1, result.output
    found = between(tmp_path)[:-1]
    assert [each.event for each in found] == ["Import"] * 3
    assert {each.objects[1] for each in found} == {"1", "2", "<none>"}
    assert all(source.as_uri() in each.users for each in found)


def test_the_command_tells_of_every_image(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("pyarrow", reason="needs the extra archive")
    source, out = write_archive(tmp_path / "archive", 2, (120, 96)), tmp_path / "out"
    model = write_identity_net(tmp_path / "identity.onnx")
    configure(tmp_path, model, monkeypatch)
    result = CliRunner().invoke(app, ["archive", str(source), "--out", str(out)])
    assert result.exit_code == 0, result.output
    start, *between, stop = (each.event for each in told(tmp_path / "audit"))
    assert (start, stop) == ("Application Start", "Application Stop")
    assert between == ["Import", "Export"] * 2
