"""The C-STORE client with an archive of the tests' own, and with peers that fall short."""

import asyncio
import time
from io import BytesIO
from pathlib import Path

import pytest
from pydicom import dcmread, uid
from pydicom.dataset import FileMetaDataset
from pydicom.filereader import read_dataset
from pynetdicom import AE, build_context, evt
from pynetdicom.dimse_primitives import N_EVENT_REPORT

from service.destinations.commitment import PUSH_MODEL, PUSH_MODEL_INSTANCE
from service.destinations.destination import ClientOptions, CommitmentReport, InstanceReference
from service.destinations.line import OwnAssociation
from service.destinations.store import DicomDestination, StoreClient
from service.dimse.store_status import NotDelivered
from service.outputs.dicom.registry import syntaxes_of
from tests.service.destinations.c_store import (
    EXPLICIT,
    IMPLICIT,
    SEG,
    UID,
    dataset_of,
    options,
    send,
)
from tests.store_scp import store_scp

pytestmark = pytest.mark.integration


def test_a_burst_goes_on_one_association_byte_for_byte(file: Path) -> None:
    with store_scp() as archive:
        assert send(file, archive.url(), times=3) == [None] * 3
    assert archive.associations == [("ARCHIVE", "MAMMOSEG")]
    assert archive.received == {UID: [dataset_of(file.read_bytes())] * 3}


def test_the_calling_title_is_the_destinations_where_it_has_one(file: Path) -> None:
    with store_scp() as archive:
        send(file, archive.url(calling_ae="READER%202"))
    assert archive.associations == [("ARCHIVE", "READER 2")]


def test_what_is_sent_is_proposed_and_nothing_else(file: Path) -> None:
    with store_scp() as archive:
        send(file, archive.url(), given=options())
        send(file, archive.url(commitment="true"), given=options())
    plain = [
        (uid, syntax)
        for uid in sorted(syntaxes_of(["seg", "sr"]))
        for syntax in (EXPLICIT, IMPLICIT)
    ]
    push = [("1.2.840.10008.1.20.1", EXPLICIT), ("1.2.840.10008.1.20.1", IMPLICIT)]
    assert archive.proposed == [plain, plain + push]


def test_a_class_that_nobody_spoke_of_is_proposed_on_a_new_association(file: Path) -> None:
    with store_scp() as archive:
        given = ClientOptions("MAMMOSEG", syntaxes_of(["sr"]), lambda report: None)
        send(file, archive.url(), times=2, given=given)
    (proposed,) = archive.proposed
    assert {uid for uid, _ in proposed} == {SEG, *syntaxes_of(["sr"])}


def test_an_idle_association_is_released(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("service.destinations.store.IDLE_S", 0.1)

    async def twice(url: str) -> None:
        async with StoreClient(DicomDestination(url=url), options()) as client:
            for _ in range(2):
                await client.store(file)
                await client.rest()
                await asyncio.sleep(0.15)
                await client.rest()
                assert client._association is None

    with store_scp() as archive:
        asyncio.run(twice(archive.url()))
    assert len(archive.associations) == 2


@pytest.mark.parametrize("syntax", [EXPLICIT, IMPLICIT])
@pytest.mark.parametrize("kind", ["plain", "jpeg-ls", "jpeg"])
def test_a_result_is_decompressed_and_rewritten_where_the_archive_takes_only_that(
    tmp_path: Path, results: dict[str, bytes], kind: str, syntax: str
) -> None:
    name = {"plain": "seg", "jpeg-ls": "seg-fractional", "jpeg": "sc"}[kind]
    file = tmp_path / "result.dcm"
    file.write_bytes(results[name])
    with store_scp(syntaxes=(syntax,)) as archive:
        given = ClientOptions("MAMMOSEG", syntaxes_of([name]), lambda report: None)
        send(file, archive.url(), given=given)
    assert archive.syntaxes == [syntax]
    ((name, (received,)),) = archive.received.items()
    got = read_dataset(BytesIO(received), syntax == IMPLICIT, True)
    got.file_meta = FileMetaDataset()
    got.file_meta.TransferSyntaxUID = uid.UID(syntax)
    sent = dcmread(file)
    assert name == sent.SOPInstanceUID == got.SOPInstanceUID
    assert (got.pixel_array == sent.pixel_array).all()
    assert got.get("LossyImageCompression") == sent.get("LossyImageCompression")


@pytest.mark.parametrize("status", [0xB000, 0xB006, 0xB007])
def test_a_warning_is_a_delivery(file: Path, status: int) -> None:
    with store_scp() as archive:
        archive.status = lambda uid, times: status
        assert send(file, archive.url()) == [status]


def test_what_the_archive_has_already_is_delivered(file: Path) -> None:
    with store_scp() as archive:
        archive.status = lambda uid, times: 0x0111
        assert send(file, archive.url()) == [None]


def test_a_file_that_is_no_result_any_more_does_not_stop_the_queue(tmp_path: Path) -> None:
    broken = tmp_path / "broken.dcm"
    with store_scp() as archive:
        for content in (b"", b"rubbish" * 100, bytes(128) + b"DICM"):
            broken.write_bytes(content)
            with pytest.raises(OSError, match="no result any more"):
                send(broken, archive.url())


def ask(url: str, uids: list[str], reports: list[CommitmentReport], wait: int = 1) -> None:
    async def once() -> None:
        client = StoreClient(DicomDestination.model_validate({"url": url}), options(reports))
        async with client:
            await client.request_commitment("2.25.7", [InstanceReference(SEG, uid) for uid in uids])
            ends = time.monotonic() + 30
            while len(reports) < wait and time.monotonic() < ends:
                await asyncio.sleep(0.01)

    asyncio.run(once())


def test_a_commitment_is_reported_on_the_same_association(file: Path) -> None:
    reports: list[CommitmentReport] = []
    with store_scp() as archive:
        send(file, archive.url())
        ask(archive.url(commitment="true"), [UID, "1.2.9"], reports)
    assert reports == [CommitmentReport("2.25.7", frozenset({UID}), {"1.2.9": 0x0112})]
    assert archive.asked == [("2.25.7", [UID, "1.2.9"])]


def test_a_report_leaves_the_flag_alone_that_the_next_message_waits_for() -> None:
    """The library clears it after a report: a message that was to go meanwhile never went."""
    association = OwnAssociation(AE(), "requestor")
    association._accepted_cx[1] = build_context(PUSH_MODEL)
    association._accepted_cx[1].context_id = 1
    seen: list[evt.Event] = []

    def take(event: evt.Event) -> tuple[int, None]:
        seen.append(event)
        return 0, None

    association.bind(evt.EVT_N_EVENT_REPORT, take)
    request = N_EVENT_REPORT()
    request.MessageID, request.EventTypeID = 1, 1
    request.AffectedSOPClassUID = PUSH_MODEL
    request.AffectedSOPInstanceUID = PUSH_MODEL_INSTANCE
    association._is_paused = True
    association._serve_request(request, 1)
    assert len(seen) == 1 and association._is_paused


def test_a_refused_request_for_commitment_is_said(file: Path) -> None:
    with store_scp() as archive:
        archive.action_status = 0x0213
        with pytest.raises(NotDelivered, match="commitment-refused-0213"):
            ask(archive.url(commitment="true"), [UID], [], wait=0)
    refused = pytest.raises(NotDelivered, match="commitment-not-supported")
    with store_scp(classes={SEG}) as archive, refused:
        ask(archive.url(commitment="true"), [UID], [], wait=0)
