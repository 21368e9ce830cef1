"""Searches at servers that page, truncate and lie: all that is there is found, or it is said."""

import json
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from service.dicomweb.archive import Archive, ServerFailed
from service.dicomweb.search import PAGE
from tests.service.dicomweb.archive_server import SERIES, STUDY, UIDS, Server, series_of, uid_of

pytestmark = pytest.mark.integration
MORE = '299 "x: There are 7 additional results that can be requested"'


def found(server: Server) -> list[str]:
    return [reference.instance_uid for reference in Archive(server.url, STUDY).mammograms({"MG"})]


@pytest.mark.parametrize("page", [1, 5, 6, 12, 1000])
@pytest.mark.parametrize("says_more", [None, MORE])
@pytest.mark.parametrize("after", [200, 204, 400, 404, 416])
def test_all_pages_of_a_search_are_read(
    server: Server, page: int, says_more: str | None, after: int
) -> None:
    server.page, server.says_more, server.after = page, says_more, after
    assert found(server) == UIDS


def test_no_more_are_asked_for_at_once_than_any_server_gives(server: Server) -> None:
    """Microsoft's answers 400 to a limit over 200."""
    assert found(server) == UIDS
    limits = [int(parse_qs(urlsplit(path).query)["limit"][0]) for path in server.asked]
    assert limits and max(limits) <= 200


def test_after_a_full_page_a_bad_request_is_no_end(server: Server) -> None:
    server.instances = [uid_of(f"1.2.3.1.{number}") for number in range(PAGE)]
    for after, is_end in ((404, True), (416, True), (400, False)):
        server.after = after
        if is_end:
            assert len(found(server)) == PAGE
            continue
        with pytest.raises(ServerFailed, match="http-400"):
            found(server)


def test_a_value_may_come_without_a_list_around_it(server: Server) -> None:
    server.series = [
        {"0020000E": {"vr": "UI", "Value": SERIES}, "00080060": {"vr": "CS", "Value": "MG"}}
    ]
    server.instances = [{"00080018": {"vr": "UI", "Value": uid}} for uid in UIDS]
    assert found(server) == UIDS


def test_series_come_in_pages_too(server: Server) -> None:
    server.page, server.instances = 1, [uid_of("1.2.3.9")]
    server.series = [series_of(f"1.2.3.{number}") for number in range(3)]
    assert len(found(server)) == 3


def test_a_server_that_ignores_the_offset_ends(server: Server) -> None:
    server.pages = False
    assert found(server) == UIDS
    assert len(server.asked) < 6


def test_what_cannot_be_had_is_said(server: Server) -> None:
    server.pages, server.page, server.says_more = False, 5, MORE
    references = Archive(server.url, STUDY).mammograms({"MG"})
    assert [next(references).instance_uid for _ in range(5)] == UIDS[:5]
    with pytest.raises(ServerFailed, match="search-incomplete"):
        next(references)


def test_other_warnings_say_nothing_of_that(server: Server) -> None:
    server.pages = False
    server.says_more = '299 "x: fuzzymatching is not supported"'
    assert found(server) == UIDS


def test_a_server_without_an_end_ends(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("service.dicomweb.search.MAX_RESULTS", 20)
    server.answer = lambda path, query: (  # type: ignore[method-assign]
        200,
        None,
        json.dumps(
            [
                (series_of if path.endswith("series") else uid_of)(
                    SERIES if path.endswith("series") else f"1.{query['offset'][0]}"
                )
            ]
        ).encode(),
    )
    with pytest.raises(ServerFailed, match="search-endless"):
        found(server)


def test_series_of_other_modalities_that_a_server_does_not_leave_out_are_left_out(
    server: Server,
) -> None:
    server.series = [series_of("1.5", "SEG"), series_of(SERIES), series_of("1.6", None)]
    assert found(server) == UIDS * 2
    references = list(Archive(server.url, STUDY).mammograms({"MG", "DX"}))
    # What has no modality is asked for once, whatever is searched for.
    assert len(references) == 24


def test_a_server_that_is_busy_is_asked_again(server: Server) -> None:
    server.busy = 2
    assert found(server) == UIDS
    server.busy = 99
    with pytest.raises(ServerFailed, match="http-503"):
        found(server)


@pytest.mark.parametrize("body", [b"{", b'"x"', b"[1, null]", b"\xff", b"[" * 100_000])
def test_a_search_that_answers_rubbish_does_not_end_in_a_traceback(
    server: Server, body: bytes
) -> None:
    server.answer = lambda path, query: (200, None, body)  # type: ignore[method-assign]
    try:
        references = list(Archive(server.url, STUDY).mammograms({"MG"}))
    except ServerFailed:
        return
    assert not any(reference.is_valid for reference in references)


HOSTILE = ["1.2.x", "../../etc", "\x1b]0;owned\x07", "1.2\n3", "1" * 100, "", None, 7, ["1.2"]]


@pytest.mark.parametrize("uid", HOSTILE)
def test_a_uid_that_is_none_ends_nothing_and_reaches_no_terminal(server: Server, uid: Any) -> None:
    server.instances.insert(3, uid_of(uid))
    references = list(Archive(server.url, STUDY).mammograms({"MG"}))
    assert [reference.instance_uid for reference in references if reference.is_valid] == UIDS
    (bad,) = [reference for reference in references if not reference.is_valid]
    assert bad.shown.isprintable() and len(bad.shown) <= 64 and "/" not in bad.shown


def test_a_series_whose_uid_is_none_ends_nothing(server: Server) -> None:
    server.series.insert(0, series_of("../../studies"))
    references = list(Archive(server.url, STUDY).mammograms({"MG"}))
    assert [reference.is_valid for reference in references] == [False] + [True] * 12
    assert not any(".." in path for path in server.asked)
