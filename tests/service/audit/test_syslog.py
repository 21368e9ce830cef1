"""The frame around a message is RFC 5424's, and RFC 5425's around that."""

from datetime import UTC, datetime

import pytest

from service.audit.event import EventOutcome
from service.audit.syslog import MAX_SEQUENCE_ID, frame, header_of, syslog_message

NOW = datetime(2026, 11, 30, 12, 0, 0, 5, UTC)

pytestmark = pytest.mark.unit


def test_a_header_has_its_seven_fields() -> None:
    header = header_of(EventOutcome.SUCCESS, NOW, "reader-1", 77)
    assert header == "<85>1 2026-11-30T12:00:00.000005+00:00 reader-1 mammoseg 77 DICOM+RFC3881"


def test_failures_are_warnings() -> None:
    assert header_of(EventOutcome.MINOR_FAILURE, NOW, "h", 1).startswith("<84>1 ")
    assert header_of(EventOutcome.SERIOUS_FAILURE, NOW, "h", 1).startswith("<84>1 ")


@pytest.mark.parametrize(("name", "shown"), [("", "-"), ("a b\n<1>", "ab<1>"), ("é", "-")])
def test_a_hostname_cannot_break_out_of_its_field(name: str, shown: str) -> None:
    assert header_of(EventOutcome.SUCCESS, NOW, name, 1).split(" ")[2] == shown


def test_the_message_follows_its_number_and_says_that_it_is_utf_8() -> None:
    message = syslog_message("<85>1 - - - - -", 17, "<ä/>".encode())
    assert message == b'<85>1 - - - - - [meta sequenceId="17"] \xef\xbb\xbf<\xc3\xa4/>'


def test_numbers_begin_again_where_the_standard_has_no_more() -> None:
    last = syslog_message("", MAX_SEQUENCE_ID, b"")
    assert b'"2147483647"' in last
    assert b'"1"' in syslog_message("", MAX_SEQUENCE_ID + 1, b"")


def test_octets_are_counted_not_characters() -> None:
    assert frame("ä\n5 x".encode()) == b"6 \xc3\xa4\n5 x"
