"""STOW-RS takes what docs/conformance.md lists, and nothing else."""

from collections.abc import Iterator
from pathlib import Path

import httpx2
import pytest
from fastapi.testclient import TestClient
from pydicom._uid_dict import UID_dictionary

from service.app import create_app
from service.errors import UnreadableImage
from service.settings import Settings
from tests.service.api.test_stow import post, reasons, related, uids
from tests.service.inbox.conftest import mammogram
from tests.statement_page import rows, storage_classes, storage_syntaxes

pytestmark = pytest.mark.integration

REFERENCED, FAILED, OTHER_FAILURES = "00081199", "00081198", "0008119A"
WARNING_REASON, FAILURE_REASON = "00081196", "00081197"


@pytest.fixture(scope="module")
def client(identity_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestClient]:
    settings = Settings(
        model=identity_model,
        device="cpu",
        readers=1,
        max_body_mib=1,
        inbox=tmp_path_factory.mktemp("inbox"),
        destinations="http://127.0.0.1:9/dicom-web",
    )
    with TestClient(create_app(settings)) as client:
        yield client


def test_an_instance_of_any_storage_class_is_stored(client: TestClient) -> None:
    every = {uid for uid, told in UID_dictionary.items() if "Storage" in told[0]}
    classes = sorted(every | set(storage_classes()))
    # Not mammograms: they are set aside at once.
    files = [
        mammogram(number, SOPClassUID=uid, Modality="OT") for number, uid in enumerate(classes, 1)
    ]
    answer = post(client, related(*files))
    assert answer.status_code == 200
    assert len(uids(answer, REFERENCED)) == len(classes) > 200


def in_syntax(number: int, syntax: str) -> bytes:
    return mammogram(number, syntax=syntax, Modality="OT")


def named(number: int, syntax: str) -> bytes:
    """Return a file whose meta information names a syntax of the same length as its own."""
    own = b"1.2.840.10008.1.2.1\0"
    file = mammogram(number, Modality="OT")
    size = len(syntax) + len(syntax) % 2
    value = syntax.encode().ljust(size, b"\0")
    head = b"\x02\0\x10\0UI"
    before, _, behind = file.partition(head + len(own).to_bytes(2, "little") + own)
    length = int.from_bytes(before[140:144], "little") + size - len(own)
    before = before[:140] + length.to_bytes(4, "little") + before[144:]
    return before + head + size.to_bytes(2, "little") + value + behind


def test_the_syntaxes_that_are_listed_are_stored(client: TestClient) -> None:
    files = [in_syntax(300 + number, each) for number, each in enumerate(storage_syntaxes())]
    answer = post(client, related(*files))
    assert (answer.status_code, len(uids(answer, REFERENCED))) == (200, len(storage_syntaxes()))


def test_all_other_syntaxes_fail_with_c122(client: TestClient) -> None:
    every = {uid for uid, told in UID_dictionary.items() if told[1] == "Transfer Syntax"}
    others = sorted(every - set(storage_syntaxes()))
    answer = post(client, related(*(named(400 + n, each) for n, each in enumerate(others))))
    assert answer.status_code == 409
    assert reasons(answer, OTHER_FAILURES, FAILURE_REASON) == [0xC122] * len(others)
    assert len(others) > 40


def test_every_reason_that_is_listed_is_given_when_it_says(
    client: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    listed = {word.removesuffix(", a warning") for word, _ in rows("Reason", "When")}
    assert listed == {"A700", "A901", "C000", "C122", "B006", "0110"}
    assert failure(post(client, related(mammogram(1, pixel_data=bytes(2**21))))) == 0xA700
    assert failure(post(client, related(mammogram(501)), "/dicom-web/studies/1.9.9")) == 0xA901
    assert failure(post(client, related(b"no DICOM file"))) == 0xC000
    assert failure(post(client, related(mammogram(502, StudyInstanceUID=None)))) == 0xC000
    assert failure(post(client, related(mammogram(503), part_type="image/png"))) == 0xC000
    for patient in ("42", "43"):
        answer = post(client, related(mammogram(504, PatientID=patient)))
    assert answer.status_code == 202
    assert reasons(answer, REFERENCED, WARNING_REASON) == [0xB006]
    monkeypatch.setattr("service.inbox.store_transaction.read_header", no_reader_survives)
    assert failure(post(client, related(mammogram(505)))) == 0x0110


def no_reader_survives(*_: object) -> None:
    raise UnreadableImage("decode-failed", "Two readers ended.")


def failure(answer: httpx2.Response) -> int:
    assert answer.status_code == 409
    (reason,) = reasons(answer, OTHER_FAILURES, FAILURE_REASON) or reasons(
        answer, FAILED, FAILURE_REASON
    )
    return reason


@pytest.mark.parametrize("part", ["application/dicom+json", "application/dicom+xml"])
def test_metadata_apart_from_its_pixels_is_not_taken(client: TestClient, part: str) -> None:
    content_type = f'multipart/related; type="{part}"; boundary="b"'
    body = related(b"[]", part_type=part)
    assert post(client, body, **{"Content-Type": content_type}).status_code == 415
