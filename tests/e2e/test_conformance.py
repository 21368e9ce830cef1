"""A running `mammoseg scp` accepts what docs/conformance.md lists, and nothing else."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from io import BytesIO

import pytest
from pydicom import Dataset, dcmread
from pydicom._uid_dict import UID_dictionary
from pynetdicom import AE, build_context
from pynetdicom.association import Association
from pynetdicom.pdu_primitives import (
    AsynchronousOperationsWindowNegotiation,
    SOPClassExtendedNegotiation,
    UserIdentityNegotiation,
)
from pynetdicom.presentation import PresentationContext

from service.destinations.commitment import PUSH_MODEL, PUSH_MODEL_INSTANCE
from service.settings import Settings
from tests.ports import free_port
from tests.service.inbox.conftest import mammogram
from tests.statement_page import rows, storage_classes, storage_syntaxes

pytestmark = pytest.mark.e2e

MAX_CONTEXTS = 128
"""Of one association (PS3.8 9.3.2.2)."""

IMPLICIT, EXPLICIT = "1.2.840.10008.1.2", "1.2.840.10008.1.2.1"
MAMMOGRAM = "1.2.840.10008.5.1.4.1.1.1.2"


def of_type(*kinds: str) -> set[str]:
    return {uid for uid, told in UID_dictionary.items() if told[1] in kinds}


@pytest.fixture(scope="module")
def port(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    """Run `mammoseg scp`; returns its port."""
    port = free_port()
    environment = os.environ | {
        "MAMMOSEG_INBOX": str(tmp_path_factory.mktemp("inbox") / "inbox"),
        "MAMMOSEG_DESTINATIONS": "http://127.0.0.1:9/dicom-web",
    }
    command = [sys.executable, "-m", "service", "scp", "--port", str(port)]
    process = subprocess.Popen(command, env=environment, stderr=subprocess.PIPE)
    assert process.stderr is not None
    try:
        assert b"scp-ready" in process.stderr.readline()
        yield port
    finally:
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=60)


@contextmanager
def associated(
    port: int, contexts: Sequence[PresentationContext], called: str = "ANY-SCP"
) -> Iterator[Association]:
    association = AE("PROBE").associate("127.0.0.1", port, list(contexts), ae_title=called)
    try:
        yield association
    finally:
        if association.is_established:
            association.release()


def accepted(port: int, proposed: list[tuple[str, list[str]]]) -> set[tuple[str, str]]:
    """Propose classes, each with its syntaxes in a context of its own; return what was accepted."""
    found = set()
    for start in range(0, len(proposed), MAX_CONTEXTS):
        contexts = [build_context(*each) for each in proposed[start : start + MAX_CONTEXTS]]
        with associated(port, contexts) as association:
            found |= {
                (str(context.abstract_syntax), str(context.transfer_syntax[0]))
                for context in association.accepted_contexts
            }
    return found


def test_every_class_that_is_listed_is_accepted_in_every_syntax_that_is_listed(port: int) -> None:
    listed = [(each, [syntax]) for each in storage_classes() for syntax in storage_syntaxes()]
    listed += [(uid, [syntax_named(name)]) for _, uid, name, _ in other_contexts()]
    assert len(listed) > 2000
    expected = {(uid, syntax) for uid, (syntax,) in listed}
    assert accepted(port, listed) == expected


def other_contexts() -> list[tuple[str, ...]]:
    return rows("SOP class", "UID", "Transfer syntax", "Our role")


def syntax_named(name: str) -> str:
    (uid,) = (uid for uid in of_type("Transfer Syntax") if UID_dictionary[uid][0] == name)
    return uid


def test_no_listed_class_is_accepted_in_any_other_syntax(port: int) -> None:
    unlisted = sorted(of_type("Transfer Syntax") - set(storage_syntaxes()))
    assert len(unlisted) > 40
    assert accepted(port, [(each, unlisted) for each in storage_classes()]) == set()
    for _, uid, _, _ in other_contexts():
        own = {syntax_named(name) for _, other, name, _ in other_contexts() if other == uid}
        assert accepted(port, [(uid, sorted(of_type("Transfer Syntax") - own))]) == set()


def test_no_other_class_is_accepted_in_any_syntax(port: int) -> None:
    listed = {*storage_classes(), *(uid for _, uid, _, _ in other_contexts())}
    others = sorted(of_type("SOP Class", "Meta SOP Class") - listed)
    assert len(others) > 100
    every = sorted(of_type("Transfer Syntax"))
    assert accepted(port, [(each, every) for each in [*others, "1.2.3.4"]]) == set()


def test_of_several_syntaxes_the_first_of_the_list_is_taken(port: int) -> None:
    backwards = storage_syntaxes()[::-1]
    assert accepted(port, [(MAMMOGRAM, backwards)]) == {(MAMMOGRAM, storage_syntaxes()[0])}
    assert accepted(port, [(MAMMOGRAM, backwards[:3])]) == {(MAMMOGRAM, backwards[2])}


def test_any_called_title_will_do_and_an_echo_is_answered(port: int) -> None:
    with associated(port, [build_context("1.2.840.10008.1.1")], "NOBODY") as association:
        assert association.send_c_echo().Status == 0x0000


def test_an_association_is_answered_as_is_listed(port: int) -> None:
    identity = UserIdentityNegotiation()
    identity.user_identity_type = 1
    identity.primary_field = b"somebody"
    identity.positive_response_requested = True
    extended = SOPClassExtendedNegotiation()
    extended.sop_class_uid = MAMMOGRAM
    extended.service_class_application_information = b"\x02\x00"
    several = AsynchronousOperationsWindowNegotiation()
    several.maximum_number_operations_invoked = several.maximum_number_operations_performed = 5
    listed = {row[0]: row[1] for row in rows("Policy", "Value")}
    association = AE("PROBE").associate(
        "127.0.0.1",
        port,
        [build_context(MAMMOGRAM)],
        ext_neg=[identity, extended, several],
    )
    try:
        assert association.is_established
        answer = association.acceptor
        assert str(answer.implementation_class_uid) == listed["Implementation Class UID"]
        assert answer.implementation_version_name == listed["Implementation Version Name"]
        assert answer.maximum_length == Settings.model_fields["scp_pdu_bytes"].default
        assert answer.user_identity is None
        assert answer.sop_class_extended == {}
        assert answer.asynchronous_operations in ((1, 1), (1, 0))
    finally:
        association.release()


def send(port: int, file: bytes, **changes: object) -> int:
    dataset = dcmread(BytesIO(file))
    for keyword, value in changes.items():
        if value is None:
            delattr(dataset, keyword)
        else:
            setattr(dataset, keyword, value)
    with associated(port, [build_context(MAMMOGRAM, EXPLICIT)]) as association:
        return int(association.send_c_store(dataset).Status)


def test_the_status_of_a_c_store_is_what_is_listed(port: int) -> None:
    listed = {int(status, 16) for status, _ in rows("Status", "When")}
    assert listed == {0x0000, 0xA700, 0xB006, 0xC000, 0x0110}
    assert send(port, mammogram()) == 0x0000
    assert send(port, mammogram()) == 0x0000
    assert send(port, mammogram(), PatientID="43") == 0xB006
    assert send(port, mammogram(7), StudyInstanceUID=None) == 0xC000
    assert send(port, mammogram(8), Modality="CT") == 0x0000


def test_a_report_nobody_asked_for_is_answered_and_a_request_for_commitment_is_not_performed(
    port: int,
) -> None:
    information = Dataset()
    information.TransactionUID = "2.25.7"
    information.ReferencedSOPSequence = []
    context = build_context(PUSH_MODEL)
    with associated(port, [context]) as association:
        status, _ = association.send_n_event_report(information, 1, PUSH_MODEL, PUSH_MODEL_INSTANCE)
        assert status.Status == 0x0000
    with associated(port, [context]) as association:
        status, _ = association.send_n_action(information, 1, PUSH_MODEL, PUSH_MODEL_INSTANCE)
        assert status.Status == 0x0110
