import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from service.destinations.stow import StowClient, StowDestination
from service.dicomweb.stow_answer import judge
from service.dimse.store_status import NotDelivered
from service.server_process import free_port
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


def test_a_server_that_has_it_already_may_say_so_in_a_list_or_in_xml() -> None:
    answer = failed(UID, 0x0111)
    assert answer is not None
    judge(409, b"[" + answer[1] + b"]")
    xml = (
        b'<NativeDicomModel><DicomAttribute tag="00081198" vr="SQ"><Item number="1">'
        b'<DicomAttribute tag="00081197" vr="US"><Value number="1">%d</Value></DicomAttribute>'
        b"</Item></DicomAttribute></NativeDicomModel>"
    )
    judge(409, xml % 0x0111)
    for body in (b"[" + failed(UID, 0xC000)[1] + b"]", xml % 0xC000):
        with pytest.raises(NotDelivered, match="failure-c000"):
            judge(200, body)


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
    with pytest.raises(NotDelivered, match="failure-0110"):
        judge(200, json.dumps({"00081198": {"vr": "SQ", "Value": failures}}).encode())


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"null",
        b"[]",
        b'{"00081198": 7}',
        b'{"00081198": {"vr": "SQ"}}',
        b'{"00081198": {"vr": "SQ", "Value": []}}',
        b"\xff\xfe",
        b"<a/>",
    ],
)
def test_an_answer_that_says_nothing_is_taken_by_its_status(body: bytes) -> None:
    judge(200, body)


def test_failures_without_uids_or_in_xml_count() -> None:
    other = {"0008119A": {"vr": "SQ", "Value": [{"00081197": {"vr": "US", "Value": [0xC000]}}]}}
    xml = b'<NativeDicomModel><DicomAttribute tag="00081198" vr="SQ"/></NativeDicomModel>'
    for body in (json.dumps(other).encode(), xml):
        with pytest.raises(NotDelivered):
            judge(202, body)


def test_a_warning_is_a_delivery_and_is_said() -> None:
    item = {
        "00081155": {"vr": "UI", "Value": [UID]},
        "00081196": {"vr": "US", "Value": [0xB006]},
    }
    answer = {"00081199": {"vr": "SQ", "Value": [item]}}
    assert judge(202, json.dumps(answer).encode()) == 0xB006
    assert judge(202, json.dumps([answer]).encode()) == 0xB006
    assert judge(200, b"<NativeDicomModel/>") is None
