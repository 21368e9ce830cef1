from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from service.inbox.inbox import Inbox
from service.inbox.reception import Outcome
from service.settings import Settings
from tests.dicom_files import dicom_file

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


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(
        inbox=tmp_path / "inbox",
        destinations=("http://127.0.0.1:9/dicom-web",),
        max_body_mib=1,
        inbox_mib=64,
        device="cpu",
        runners=1,
        readers=1,
    )


@pytest.fixture
def inbox(settings: Settings) -> Iterator[Inbox]:
    with Inbox(settings) as inbox:
        yield inbox


@pytest.fixture
def receive(inbox: Inbox) -> Callable[..., list[Outcome]]:
    """Take files into the inbox in one transaction."""

    def take(*files: bytes, study: str | None = None) -> list[Outcome]:
        with inbox.reception(study) as reception:
            for file in files:
                reception.begin()
                reception.write(file[:100])
                reception.write(file[100:])
                reception.end()
            return reception.commit()

    return take
