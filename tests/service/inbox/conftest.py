import subprocess
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from pynetdicom import _config

from service.dicomweb.store_response import StoreOutcome
from service.inbox.inbox import Inbox
from service.inbox.scp import StoreScp
from service.segmenter import Segmenter
from service.settings import Settings
from service.startup.models import open_model
from tests.dicom_files import dicom_file
from tests.identity_net import write_identity_net
from tests.postgres_server import PostgresServer, postgres_server
from tests.programs import require_program
from tests.service.inbox.replicas import PACS
from tests.service.inbox.senders import changed
from tests.stow_server import StowServer, stow_server
from tests.thinned import thinned

STUDY = "1.2.3.4"


def mammogram(number: int = 1, **elements: Any) -> bytes:
    """Write a mammogram that has all its UIDs; the number makes it another instance."""
    uids = {
        "SOPInstanceUID": f"{STUDY}.1.{number}",
        "StudyInstanceUID": STUDY,
        "SeriesInstanceUID": f"{STUDY}.1",
        "PatientID": "42",
    }
    return dicom_file(**(uids | elements))


@pytest.fixture(scope="session")
def postgres() -> Iterator[PostgresServer]:
    with postgres_server() as server:
        yield server


@pytest.fixture
def database(request: pytest.FixtureRequest) -> dict[str, Any]:
    """Settings of a database: SQLite's, or PostgreSQL's where `BOTH_DATABASES` are asked for."""
    if getattr(request, "param", "sqlite") == "sqlite":
        return {}
    return request.getfixturevalue("postgres").emptied()


BOTH_DATABASES = (
    pytest.mark.usefixtures("database"),
    pytest.mark.parametrize("database", ["sqlite", "postgresql"], indirect=True),
)
"""Marks of a module whose tests hold for either database."""

SQLITE_AND_LONG_POSTGRESQL = (
    pytest.mark.usefixtures("database"),
    pytest.mark.parametrize("database", thinned(["sqlite", "postgresql"], 2), indirect=True),
)
"""Marks of such a module which is long on PostgreSQL; what it asks others ask there each time."""

ON_POSTGRESQL = (
    pytest.mark.usefixtures("database"),
    pytest.mark.parametrize("database", ["postgresql"], indirect=True),
)
"""Marks of a module whose tests are of PostgreSQL alone."""


def both_databases(test: Callable[..., None]) -> Callable[..., None]:
    """Mark one test so."""
    for mark in BOTH_DATABASES:
        test = mark(test)
    return test


@pytest.fixture
def settings(tmp_path: Path, database: dict[str, Any]) -> Settings:
    return Settings(
        **database,
        inbox=tmp_path / "inbox",
        destinations=("http://127.0.0.1:9/dicom-web",),
        max_body_mib=1,
        inbox_mib=64,
        device="cpu",
        runners=1,
        readers=1,
    )


def store(inbox: Inbox, *files: bytes, study: str | None = None) -> list[StoreOutcome]:
    """Take files into an inbox in one transaction."""
    with inbox.store_transaction(study) as transaction:
        for file in files:
            transaction.begin()
            transaction.write(file[:100])
            transaction.write(file[100:])
            transaction.end()
        return transaction.commit()


@pytest.fixture(scope="session")
def segmenter(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Segmenter]:
    """The identity net."""
    model = write_identity_net(tmp_path_factory.mktemp("model") / "identity.onnx")
    with open_model(model) as segmenter:
        yield segmenter


@contextmanager
def opened(settings: Settings) -> Iterator[Inbox]:
    """Open an inbox, with a lease where it has one."""
    with Inbox(settings) as inbox:
        if inbox.lease is not None:
            inbox.lease.start(())
        try:
            yield inbox
        finally:
            if inbox.lease is not None:
                inbox.lease.stop()


@pytest.fixture
def inbox(settings: Settings) -> Iterator[Inbox]:
    with opened(settings) as inbox:
        yield inbox


@pytest.fixture
def receive(inbox: Inbox) -> Callable[..., list[StoreOutcome]]:
    """Take files into the inbox in one transaction."""

    def take(*files: bytes, study: str | None = None) -> list[StoreOutcome]:
        outcomes = store(inbox, *files, study=study)
        # What is worked on is claimed before, which changes nothing in SQLite.
        inbox.processing.due((), 1000)
        return outcomes

    return take


@pytest.fixture
def scp(inbox: Inbox, settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Iterator[StoreScp]:
    """Listen; what the door changes of its process is put back."""
    monkeypatch.setattr(tempfile, "tempdir", tempfile.tempdir)
    monkeypatch.setattr(_config, "STORE_RECV_CHUNKED_DATASET", False)
    with StoreScp(inbox, changed(settings)) as scp:
        yield scp


@pytest.fixture
def send(tmp_path: Path) -> Callable[..., str]:
    """Send a file with storescu; returns what it says."""

    def storescu(scp: StoreScp, file: bytes, *options: str) -> str:
        path = tmp_path / "sent.dcm"
        path.write_bytes(file)
        program = require_program("storescu", "dcmtk")
        command = [program, "-v", *options, "127.0.0.1", str(scp.port), str(path)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=120)
        return done.stdout + done.stderr

    return storescu


@pytest.fixture
def pacs() -> Iterator[StowServer]:
    with stow_server() as server:
        yield server


@pytest.fixture
def other(inbox: Inbox, settings: Settings) -> Iterator[Inbox]:
    """Be a second replica."""
    with Inbox(settings) as other:
        assert other.lease is not None
        other.lease.start((PACS,))
        yield other
        other.lease.stop()
