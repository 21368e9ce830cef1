import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from service.destinations.stow import StowClient, StowDestination
from service.dicomweb.stow_answer import judge
from service.dimse.store_status import NotDelivered
from tests.ports import free_port
from tests.service.inbox.conftest import mammogram
from tests.stow_server import failed, stow_server

pytestmark = pytest.mark.integration

UID = "1.2.3.4.1.1"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "result.dcm"
    path.write_bytes(mammogram())
    return path


def send(file: Path, url: str, **more: Any) -> None:
    async def once() -> None:
        async with StowClient(StowDestination(url=url, **more)) as client:
            await client.store(file)

    asyncio.run(once())


def refusal(file: Path, url: str, **more: Any) -> NotDelivered:
    with pytest.raises(NotDelivered) as refused:
        send(file, url, **more)
    return refused.value


def test_a_file_arrives_byte_for_byte(file: Path) -> None:
    with stow_server() as pacs:
        send(file, pacs.url)
    assert pacs.received == {UID: [file.read_bytes()]}
    (headers,) = pacs.headers
    assert headers["Content-Type"].startswith('multipart/related; type="application/dicom"; ')
    assert headers["Accept"] == "application/dicom+json"
    assert "Transfer-Encoding" not in headers


@pytest.mark.parametrize(
    ("given", "header"),
    [
        ({}, None),
        ({"token": "t0ken"}, "Bearer t0ken"),
        ({"username": "user", "password": "pass"}, "Basic dXNlcjpwYXNz"),
    ],
)
def test_credentials_go_with_it(file: Path, given: dict[str, str], header: str | None) -> None:
    with stow_server() as pacs:
        send(file, pacs.url, **given)
    assert pacs.headers[0].get("Authorization") == header


def test_a_server_that_is_not_there_or_hangs_up_is_not_reachable(file: Path) -> None:
    gone = refusal(file, f"http://127.0.0.1:{free_port()}/dicom-web")
    with stow_server() as pacs:
        pacs.reply = lambda uid, times: None
        mute = refusal(file, pacs.url)
    for error in (gone, mute):
        assert (error.code, error.permanent, error.reachable) == ("unreachable", False, False)


def test_a_server_that_is_slow_is_not_waited_for(file: Path) -> None:
    with stow_server() as pacs:
        held = pacs.lock
        with held:
            error = refusal(file, pacs.url, timeout_s=0.2)
    assert (error.code, error.permanent) == ("timeout", False)


def test_a_redirect_is_not_followed(file: Path) -> None:
    with stow_server() as pacs:
        pacs.reply = lambda uid, times: (307, b"")
        assert refusal(file, pacs.url).code == "http-307"


@pytest.mark.parametrize(
    ("status", "permanent", "reachable"),
    [
        (400, True, True),
        (401, False, True),
        (403, False, True),
        (404, False, True),
        (413, True, True),
        (415, True, True),
        (409, False, True),
        (429, False, False),
        (500, False, True),
        (503, False, False),
    ],
)
def test_a_status_says_whether_to_try_again(status: int, permanent: bool, reachable: bool) -> None:
    with pytest.raises(NotDelivered) as refused:
        judge(status, b"")
    assert refused.value.code == f"http-{status}"
    assert (refused.value.permanent, refused.value.reachable) == (permanent, reachable)


@pytest.mark.parametrize("status", [200, 202, 409])
@pytest.mark.parametrize(
    ("reason", "permanent"),
    [(0xA700, False), (0x0110, False), (0x0124, False), (0xC000, True), (0xA900, True)],
)
def test_a_failure_in_the_answer_counts_whatever_the_status(
    status: int, reason: int, permanent: bool
) -> None:
    answer = failed(UID, reason)
    assert answer is not None
    with pytest.raises(NotDelivered) as refused:
        judge(status, answer[1])
    assert refused.value.code == f"failure-{reason:04x}"
    assert refused.value.permanent is permanent


@pytest.mark.parametrize("reason", [0x0111, 45070])
def test_a_server_that_has_it_already_has_it(reason: int) -> None:
    answer = failed(UID, reason)
    assert answer is not None
    judge(409, answer[1])


def xml_answer(sequence: str, reason: int, encoding: str = "UTF-8") -> bytes:
    return (
        f'<?xml version="1.0" encoding="{encoding}"?>\n'
        '<NativeDicomModel xmlns="http://dicom.nema.org/PS3.19/models/NativeDICOM">'
        f'<DicomAttribute {sequence} vr="SQ"><Item number="1">'
        f'<DicomAttribute tag="00081197" vr="US"><Value number="1">{reason}</Value>'
        "</DicomAttribute></Item></DicomAttribute></NativeDicomModel>"
    ).encode(encoding)


def test_a_server_that_has_it_already_may_say_so_in_a_list_or_in_xml() -> None:
    answer = failed(UID, 0x0111)
    assert answer is not None
    judge(409, b"[" + answer[1] + b"]")
    judge(409, xml_answer('tag="00081198"', 0x0111))
    with pytest.raises(NotDelivered, match="failure-c000"):
        judge(200, b"[" + failed(UID, 0xC000)[1] + b"]")


@pytest.mark.parametrize("encoding", ["UTF-8", "UTF-16", "ISO-8859-1"])
@pytest.mark.parametrize(
    "sequence",
    ['tag="00081198"', "tag='0008119A'", 'tag="0008119a"', 'keyword="FailedSOPSequence"'],
)
def test_a_failure_in_xml_is_one_in_whatever_encoding(sequence: str, encoding: str) -> None:
    for status in (200, 202, 409):
        with pytest.raises(NotDelivered, match="failure-c000"):
            judge(status, xml_answer(sequence, 0xC000, encoding))


@pytest.mark.parametrize(
    "attribute",
    [
        '<DicomAttribute tag="00081198" vr="SQ"/>',
        '<DicomAttribute tag="00081190" vr="UR"><Value number="1">http://pacs/00081198</Value>'
        "</DicomAttribute>",
    ],
    ids=["an empty sequence", "its digits in a value"],
)
def test_only_an_item_of_the_sequence_is_a_failure_in_xml(attribute: str) -> None:
    assert judge(200, f"<NativeDicomModel>{attribute}</NativeDicomModel>".encode()) is None


@pytest.mark.parametrize("status", [200, 202])
@pytest.mark.parametrize(
    "body",
    [
        b"<!DOCTYPE html><html><body>Please log in<br></body></html>",
        b"<html><body><form/></body></html>",
        b'{"error": "login required"}',
        b'"stored"',
        b"OK",
        b"\xff\xfe",
        b"<a/>",
        b'{"00081199": {"vr": "SQ", "Val',
        b'<!DOCTYPE a SYSTEM "file:///etc/passwd"><a>&b;</a>',
        b"<a>" * 10_000,
    ],
)
def test_an_answer_that_is_none_of_stow_rs_is_no_delivery(body: bytes, status: int) -> None:
    with pytest.raises(NotDelivered) as refused:
        judge(status, body)
    assert (refused.value.code, refused.value.permanent) == ("answer-not-stow", False)


OF_US = {"00081155": {"vr": "UI", "Value": [UID]}}
WHY = {"00081197": {"vr": "US", "Value": [0xC000]}}


@pytest.mark.parametrize("status", [200, 202])
@pytest.mark.parametrize(
    "failures",
    [
        [WHY],
        [{"00081155": {"vr": "UI", "Value": [UID + "\0"]}, **WHY}],
        [{"00081155": {"vr": "UI", "Value": ["1.2.9"]}, **WHY}],
        {**OF_US, **WHY},
        [{"00081155": {"vr": "UI", "Value": UID}, "00081197": {"vr": "US", "Value": 0xC000}}],
    ],
    ids=["no UID", "a padded UID", "another UID", "no list", "no lists of values"],
)
def test_whatever_failed_is_the_one_object_that_was_sent(failures: Any, status: int) -> None:
    for more in ({}, {"00081199": {"vr": "SQ", "Value": [OF_US]}}):
        answer = {"00081198": {"vr": "SQ", "Value": failures}, **more}
        with pytest.raises(NotDelivered, match="failure-c000"):
            judge(status, json.dumps(answer).encode())


@pytest.mark.parametrize("failures", [[{}], [OF_US], "x"])
def test_a_failure_without_a_reason_is_one(failures: Any) -> None:
    for element in ({"vr": "SQ", "Value": failures}, failures):
        with pytest.raises(NotDelivered, match="failure-0110"):
            judge(200, json.dumps({"00081198": element}).encode())


@pytest.mark.parametrize("sequence", ["FailedSOPSequence", "OtherFailuresSequence", "0008119a"])
def test_a_failure_by_keyword_is_one(sequence: str) -> None:
    in_full = {"vr": "SQ", "Value": [{"FailureReason": {"vr": "US", "Value": [0xC000]}}]}
    for element in (in_full, [{"FailureReason": 0xC000}]):
        with pytest.raises(NotDelivered, match="failure-c000"):
            judge(200, json.dumps({sequence: element}).encode())


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"null",
        b"[]",
        b"{}",
        b"<NativeDicomModel/>",
        b'{"00081198": {"vr": "SQ"}}',
        b'{"00081198": {"vr": "SQ", "Value": []}}',
    ],
)
def test_an_answer_that_says_nothing_is_taken_by_its_status(body: bytes) -> None:
    judge(200, body)


def test_failures_without_uids_count() -> None:
    other = {"0008119A": {"vr": "SQ", "Value": [{"00081197": {"vr": "US", "Value": [0xC000]}}]}}
    with pytest.raises(NotDelivered):
        judge(202, json.dumps(other).encode())


def test_a_warning_is_a_delivery_and_is_said() -> None:
    item = {
        "00081155": {"vr": "UI", "Value": [UID]},
        "00081196": {"vr": "US", "Value": [0xB006]},
    }
    answer = {"00081199": {"vr": "SQ", "Value": [item]}}
    assert judge(202, json.dumps(answer).encode()) == 0xB006
    assert judge(202, json.dumps([answer]).encode()) == 0xB006
    xml = xml_answer('tag="00081199"', 0xB006).replace(b"00081197", b"00081196")
    assert judge(202, xml) == 0xB006
