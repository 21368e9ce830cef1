"""What the service answers to a sender is what it reads of another server's answer."""

import json

import pytest

from service.dicomweb.store_response import (
    CANNOT_UNDERSTAND,
    ELEMENTS_DISCARDED,
    OTHER_STUDY,
    StoreOutcome,
    read_response,
    response_status,
    store_response,
)

pytestmark = pytest.mark.unit

KLASS, UID = "1.2.840.10008.5.1.4.1.1.1.2", "1.2.3"


@pytest.mark.parametrize(
    ("outcome", "status", "reason"),
    [
        (StoreOutcome(KLASS, UID), 200, None),
        (StoreOutcome(KLASS, UID, warning=ELEMENTS_DISCARDED), 202, None),
        (StoreOutcome(KLASS, UID, OTHER_STUDY), 409, OTHER_STUDY),
        (StoreOutcome(None, None, CANNOT_UNDERSTAND), 409, CANNOT_UNDERSTAND),
    ],
)
def test_a_client_reads_what_a_server_wrote(
    outcome: StoreOutcome, status: int, reason: int | None
) -> None:
    body = json.dumps(store_response([outcome])).encode()
    assert response_status([outcome]) == status
    said = read_response(body)
    assert said is not None
    assert (said.failure, said.warning) == (reason, outcome.warning)


def test_some_that_failed_are_told_from_those_that_were_stored() -> None:
    outcomes = [StoreOutcome(KLASS, UID), StoreOutcome(KLASS, "1.2.4", OTHER_STUDY)]
    answer = store_response(outcomes)
    assert response_status(outcomes) == 202
    sequences = [answer[tag]["Value"] for tag in ("00081199", "00081198")]
    uids = [item["00081155"]["Value"] for items in sequences for item in items]
    assert uids == [[UID], ["1.2.4"]]


@pytest.mark.parametrize("body", [b"0", b"false", b'""', b"[[]]", b"[0]", b"{} {}"])
def test_json_without_a_dataset_is_no_answer(body: bytes) -> None:
    assert read_response(body) is None


@pytest.mark.parametrize("body", [b"", b" \r\n", b"null", b"{}", b"[]", b"[{}]", b"[null]"])
def test_an_empty_answer_says_nothing(body: bytes) -> None:
    said = read_response(body)
    assert said is not None and (said.failure, said.warning) == (None, None)


FAILED = {
    "JSON in Latin-1": '{"00081198": [{"00081197": [272]}], "ErrorComment": "gr\xfcn"}',
    "XML after blank lines": "\r\n\n"
    + '<?xml version="1.0" encoding="utf-8"?><NativeDicomModel>'
    + '<DicomAttribute tag="00081198" vr="SQ"><Item number="1"><DicomAttribute tag="00081197"'
    + ' vr="US"><Value number="1">272</Value></DicomAttribute></Item></DicomAttribute>'
    + "</NativeDicomModel>",
}


@pytest.mark.parametrize("how", FAILED)
def test_a_failure_is_read_however_it_is_written(how: str) -> None:
    said = read_response(FAILED[how].encode("latin-1"))
    assert said is not None and said.failure == 272
