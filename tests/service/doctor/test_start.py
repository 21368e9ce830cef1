"""The doctor asks what `serve` asks before it serves, and leaves nothing of what it opened."""

import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest
from structlog.testing import capture_logs
from typer.testing import CliRunner

from service.audit.trail import AuditTrail
from service.cli import app
from service.doctor.check import Check
from service.doctor.start import address_check, start_checks
from service.exit_status import START_FAILED, TRY_AGAIN
from service.inbox.inbox import DATABASE_FILE, Inbox
from service.settings import Settings
from tests.certificates import Authority
from tests.identity_net import write_identity_net

pytestmark = pytest.mark.integration

PACS = "http://127.0.0.1:9/dicom-web"
COLLECTOR = "syslog-tls://127.0.0.1:9"


@pytest.fixture(autouse=True)
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("MAMMOSEG_DEVICE", "cpu")
    monkeypatch.setenv("MAMMOSEG_READERS", "1")
    monkeypatch.setenv("MAMMOSEG_PORT", "0")
    monkeypatch.setattr("service.commands.serve.configure_logs", lambda *_, **__: None)
    monkeypatch.chdir(tmp_path)
    Path("broken").write_text("no PEM, no JSON, no SQLite, long enough to have a header" * 9)
    Path("closed").mkdir()
    Path("folder").mkdir()
    Path("open").mkdir(mode=0o777)
    Path("open").chmod(0o777)
    for name, file in (("later", DATABASE_FILE), ("later-audit", "audit.sqlite3")):
        Path(name).mkdir(mode=0o700)
        with closing(sqlite3.connect(Path(name, file))) as connection:
            connection.execute("PRAGMA user_version = 99")
    Path("no-database").mkdir(mode=0o700)
    Path("no-database", DATABASE_FILE).write_bytes(Path("broken").read_bytes())
    with capture_logs():
        yield


def everything(folder: Path) -> dict[Path, tuple[int, int, int]]:
    """Return each file's and folder's mode, and of files size and time of change, too."""
    return {
        path: (state.st_mode, *((0, 0) if path.is_dir() else (state.st_size, state.st_mtime_ns)))
        for path in sorted(folder.rglob("*"))
        if (state := path.lstat())
    }


def not_well() -> list[Check]:
    return [check for check in start_checks(Settings()) if check.state != "well"]


@pytest.mark.parametrize(
    ("environment", "check", "said"),
    [
        ({"HOST": "0.0.0.0"}, "access", "keys"),
        ({"KEYS_FILE": "absent"}, "access", "there is no absent"),
        ({"KEYS_FILE": "broken"}, "access", "keys file"),
        ({"HOST": "host.invalid", "ALLOW_ANONYMOUS": "true"}, "address", "no address of this"),
        ({"HOST": "192.0.2.1", "ALLOW_ANONYMOUS": "true"}, "address", "no address of this"),
        ({"TLS_CERTIFICATE": "broken"}, "tls", "certificate"),
        ({"TLS_CERTIFICATE": "absent"}, "tls", "certificate"),
        ({"INFERENCE_LOG": "absent/lines"}, "telemetry", "INFERENCE_LOG"),
        ({"INFERENCE_LOG": "folder"}, "telemetry", "INFERENCE_LOG"),
        ({"STUDY_SECRET_FILE": "closed/short"}, "telemetry", "secret"),
        ({"DESTINATIONS": PACS, "INBOX": "/proc/absent"}, "inbox", "inbox /proc/absent cannot"),
        ({"DESTINATIONS": PACS, "INBOX": "broken/inbox"}, "inbox", "broken/inbox cannot"),
        ({"DESTINATIONS": PACS, "INBOX": "open"}, "inbox", "open to others"),
        ({"DESTINATIONS": PACS, "INBOX": "later"}, "inbox", "later version"),
        ({"DESTINATIONS": PACS, "INBOX": "no-database"}, "inbox", "cannot be opened"),
        (
            {"DESTINATIONS": '[{"url": "https://pacs/dicom-web", "ca": "absent"}]', "INBOX": "new"},
            "inbox",
            "TLS files",
        ),
        ({"AUDIT": COLLECTOR, "AUDIT_CA": "absent", "AUDIT_FOLDER": "new"}, "audit", "TLS files"),
        ({"AUDIT": COLLECTOR, "AUDIT_FOLDER": "/proc/absent"}, "audit", "/proc/absent"),
        ({"AUDIT": COLLECTOR, "AUDIT_FOLDER": "later-audit"}, "audit", "later version"),
        ({"AUDIT": COLLECTOR, "AUDIT_FOLDER": "open"}, "audit", "open to others"),
    ],
)
def test_what_serve_refuses_to_start_with_is_to_be_mended(
    environment: dict[str, str],
    check: str,
    said: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    Path("closed/short").write_text("short")
    monkeypatch.setenv("MAMMOSEG_MODEL", str(write_identity_net(tmp_path / "identity.onnx")))
    for name, value in environment.items():
        monkeypatch.setenv(f"MAMMOSEG_{name}", value)
    before = everything(tmp_path)
    (found,) = not_well()
    assert everything(tmp_path) == before
    assert (found.name, found.state) == (check, "mend") and found.advice
    assert said in found.found and ".mammoseg-doctor" not in found.found
    served = CliRunner().invoke(app, ["serve"])
    # An address may come up later, and is wrong now.
    ends = TRY_AGAIN if check == "address" else START_FAILED
    assert served.exit_code == ends, served.output


@pytest.mark.parametrize("is_there", [False, True])
def test_nothing_is_left_or_changed_of_what_would_be_opened(
    is_there: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    issued = Authority(tmp_path).issue("service")
    for name, value in {
        "DESTINATIONS": PACS,
        "INBOX": "data/inbox",
        "AUDIT": "syslog-tcp://127.0.0.1:9",
        "AUDIT_FOLDER": "data/audit",
        "INFERENCE_LOG": "lines",
        "TLS_CERTIFICATE": str(issued.certificate),
        "TLS_KEY": str(issued.key),
    }.items():
        monkeypatch.setenv(f"MAMMOSEG_{name}", value)
    settings = Settings()
    if is_there:
        Path("lines").write_text("{}\n")
        AuditTrail("test", settings.audit_options(settings.inbox))._buffer.close()
        Inbox(settings).close()
    before = everything(tmp_path)
    assert not_well() == []
    assert everything(tmp_path) == before


def test_an_inbox_that_is_worked_on_meanwhile_is_well(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MAMMOSEG_DESTINATIONS", PACS)
    monkeypatch.setenv("MAMMOSEG_INBOX", "inbox")
    with Inbox(Settings()) as inbox, inbox._database.transaction() as connection:
        connection.execute("UPDATE entry SET attempts = 1")
        before = everything(tmp_path)
        assert not_well() == []
        assert everything(tmp_path) == before


@contextmanager
def answering(document: dict[str, str]) -> Iterator[int]:
    """Run a server that answers every GET with a document; yields its port."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = json.dumps(document).encode()
            self.send_response(503)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        yield server.server_port
        server.shutdown()


def test_an_address_is_well_where_the_service_itself_has_it_and_not_where_another_does() -> None:
    ready = {"status": "draining", "model": "m", "version": "1", "device": "cpu"}
    with answering(ready) as port:
        found = address_check(Settings(port=port))
    assert found.state == "well" and "mammoseg is serving" in found.found
    with answering({"status": "ok"}) as port:
        found = address_check(Settings(port=port))
        assert found.state == "mend" and "taken by another program" in found.found
