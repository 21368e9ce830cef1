"""Whose files were refused is asked of a reader, and nobody waits long for that."""

from typing import Any, cast

import pytest

from service.audit.instances import InstanceIdentity
from service.cancellation import CancelToken
from service.imaging.limits import ReadLimits
from service.reading import identity
from service.reading.identity import identities_by
from service.reading.reader import InProcess, Reader
from tests.dicom_files import dicom_file

pytestmark = pytest.mark.unit


class Watched:
    """A reader that keeps what it was asked with."""

    def __init__(self) -> None:
        self.tokens: list[CancelToken] = []

    def look(self, body: bytes, token: CancelToken) -> Any:
        self.tokens.append(token)
        return InProcess(ReadLimits()).look(body, token)


def test_dicom_files_are_told_of_and_no_others() -> None:
    bodies = [dicom_file(PatientID="A"), b"\x89PNG\r\n\x1a\n", dicom_file(PatientID="B")]
    found = identities_by(InProcess(ReadLimits()), bodies)
    assert [each.patient_id for each in found] == ["A", "B"]


def test_all_of_them_together_have_the_time_of_one() -> None:
    reader = Watched()
    identities_by(cast(Reader, reader), [dicom_file()] * 3)
    assert len(reader.tokens) == 3 and len(set(map(id, reader.tokens))) == 1


def test_whom_there_is_no_time_to_look_for_is_told_of_as_nobody(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(identity, "LOOK_S", 0.0)
    reader = Watched()
    assert identities_by(cast(Reader, reader), [dicom_file()] * 2) == [InstanceIdentity()] * 2
    assert reader.tokens == []
