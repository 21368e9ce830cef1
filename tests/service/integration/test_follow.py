"""The follower against a PACS and a service that behave as badly as is asked for."""

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import pytest
from structlog.testing import capture_logs

from service.dicomweb.multipart import related
from service.imaging.codecs.rle import RLE_LOSSLESS
from service.imaging.reader import ReadLimits, read_image
from service.imaging.transfer_syntaxes import DEFLATED, EXPLICIT_LITTLE, IMPLICIT_LITTLE
from service.integration.cursor import Cursor, Mark
from service.integration.follow import Follower, FollowOptions
from service.integration.orthanc import Orthanc
from service.integration.remote import Denied
from service.integration.service_client import ServiceClient, ServiceIdentity, origin_of
from service.outputs.dicom.registry import OUTPUTS, dicom_result
from tests.dicom_files import SOP_INSTANCE_UID, dicom_file, phantom
from tests.findings_by_hand import MODEL, findings_by_hand
from tests.mammogram_headers import as_file, full_header

pytestmark = pytest.mark.unit

FILE = as_file(full_header())
NAME, PASSWORD = "user", "secret"


def log_of(*numbers: int, day: str = "20260101", instance: str = "i") -> list[dict[str, object]]:
    """Return changes of one image: what came with it, itself in the middle."""
    middle = numbers[len(numbers) // 2]
    return [
        {
            "ChangeType": "NewInstance" if number == middle else "NewStudy",
            "ID": instance if number == middle else "s",
            "Seq": number,
            "Date": f"{day}T120000",
        }
        for number in numbers
    ]


@dataclass
class Pair:
    """An Orthanc of one page of changes, and a service; `trouble` answers before they do.

    The image was stored at `received`, results at noon.
    """

    modality: str = "MG"
    held: set[str] = field(default_factory=set)
    log: list[dict[str, object]] = field(default_factory=lambda: log_of(1, 2, 3))
    received: str = "20260101T110000"
    ends_read: int = 0
    trouble: Callable[[httpx.Request], httpx.Response | None] = lambda _: None
    asked: list[str] = field(default_factory=list)
    stored: list[bytes] = field(default_factory=list)
    follower: Follower | None = None

    def orthanc(self, request: httpx.Request) -> httpx.Response:
        path = request.url.path
        self.asked.append(path)
        if (answer := self.trouble(request)) is not None:
            return answer
        if path == "/changes" and "last" in request.url.params:
            return httpx.Response(200, json=self._page("0", "100") | {"Changes": self.log[-1:]})
        if path == "/changes":
            return httpx.Response(200, json=self._page(**request.url.params))
        if path.endswith("/series"):
            tags = {"Modality": self.modality}
            return httpx.Response(200, json={"MainDicomTags": tags})
        if path == "/tools/lookup":
            uid = request.content.decode()
            match = [{"Type": "Instance", "ID": "result"}] if uid in self.held else []
            return httpx.Response(200, json=match)
        if path.endswith("/metadata/ReceptionDate"):
            is_result = path.startswith("/instances/result/")
            return httpx.Response(200, text="20260101T120000" if is_result else self.received)
        if path == "/instances/result/file":
            return httpx.Response(200, content=b"seg")
        if path == "/instances":
            self.stored.append(request.content)
        return httpx.Response(200, content=FILE)

    def _page(self, since: str, limit: str) -> dict[str, object]:
        new = [line for line in self.log if int(str(line["Seq"])) > int(since)]
        numbers = [int(str(line["Seq"])) for line in self.log]
        # The last one is read again each time, and once to find the position.
        self.ends_read += int(limit) > 1 and int(since) >= max(numbers, default=0) - 1
        if self.ends_read > 1 and self.follower is not None:
            self.follower.stop.set()
        return {"Changes": new, "Done": True, "Last": max(numbers, default=0)}

    def service(self, request: httpx.Request) -> httpx.Response:
        self.asked.append(request.url.path)
        if (answer := self.trouble(request)) is not None:
            return answer
        if request.url.path == "/v1/model":
            contract = {"name": MODEL.name, "version": MODEL.version}
            told = {"sha256": MODEL.sha256, "service_version": "0.1.0", "contract": contract}
            return httpx.Response(200, json=told)
        kinds = request.url.params.get("output", "").split(",")
        if len(kinds) == 1:
            return httpx.Response(200, content=kinds[0].encode())
        body, content_type = related([kind.encode() for kind in kinds], "application/dicom")
        return httpx.Response(200, content=body, headers={"Content-Type": content_type})


def follow(pair: Pair, cursor: Cursor, **options: object) -> None:
    limits = {"period_s": 0.0, "longest_wait_s": 0.0, "attempts": 3} | options
    pacs = httpx.Client(base_url="http://o", transport=httpx.MockTransport(pair.orthanc))
    server = httpx.Client(base_url="http://s", transport=httpx.MockTransport(pair.service))
    with pacs, server:
        follower = Follower(Orthanc(pacs), ServiceClient(server), cursor, FollowOptions(**limits))  # type: ignore[arg-type]
        pair.follower, pair.ends_read = follower, 0
        follower.run()


@pytest.fixture
def cursor(tmp_path: Path) -> Cursor:
    return Cursor(tmp_path / "cursor.json", 0)


def kept(cursor: Cursor) -> tuple[int, list[str]]:
    written = json.loads(cursor.file.read_text())
    return written["last"], written["given_up"]


def failing(
    path: str, times: int, status: int = 503
) -> Callable[[httpx.Request], httpx.Response | None]:
    left = [times]

    def trouble(request: httpx.Request) -> httpx.Response | None:
        if request.url.path != path or left[0] == 0:
            return None
        left[0] -= 1
        return httpx.Response(status, headers={"Retry-After": "1"})

    return trouble


def refusing(code: str) -> Callable[[httpx.Request], httpx.Response | None]:
    def trouble(request: httpx.Request) -> httpx.Response | None:
        if request.url.path != "/v1/segment":
            return None
        kind = {"Content-Type": "application/problem+json"}
        return httpx.Response(422, headers=kind, content=json.dumps({"code": code}).encode())

    return trouble


def test_a_mammogram_gets_its_results(cursor: Cursor) -> None:
    pair = Pair()
    follow(pair, cursor)
    assert pair.stored == [b"seg", b"sr"]
    assert kept(cursor) == (3, [])


def test_what_is_there_is_not_made_again(cursor: Cursor) -> None:
    origin = origin_of(FILE, ServiceIdentity(MODEL, "0.1.0"))
    assert origin is not None and origin.source_uid == SOP_INSTANCE_UID
    pair = Pair(held={origin.uid("seg", "instance")})
    follow(pair, cursor)
    assert pair.stored == [b"sr"]
    pair.held.add(origin.uid("sr", "instance"))
    cursor.last, pair.stored = 0, []
    follow(pair, cursor)
    assert pair.stored == []


@pytest.mark.parametrize("kind", OUTPUTS)
def test_the_uid_looked_for_is_the_one_that_results_have(kind: str) -> None:
    origin = origin_of(FILE, ServiceIdentity(MODEL, "0.1.0"))
    assert origin is not None
    # 0.1 mm at the detector, magnified 1.05 times.
    findings = findings_by_hand(
        pixel_spacing_mm=(0.1 / 1.05, 0.1 / 1.05), pixel_digest=origin.pixel_digest
    )
    made = dicom_result(kind, findings, full_header())
    assert made.SOPInstanceUID == origin.uid(kind, "instance")


@pytest.mark.parametrize("syntax", [EXPLICIT_LITTLE, IMPLICIT_LITTLE, DEFLATED, RLE_LOSSLESS])
def test_what_is_looked_for_has_other_uids_once_the_pixels_were_replaced(syntax: str) -> None:
    uids = set()
    for stored in (phantom(), phantom()[::-1]):
        file = dicom_file(stored, syntax=syntax)
        origin = origin_of(file, ServiceIdentity(MODEL, "0.1.0"))
        assert origin is not None
        assert origin.pixel_digest == read_image(file, None, ReadLimits(), digest=True).pixel_digest
        uids.add(origin.uid("seg", "instance"))
    assert len(uids) == 2


@pytest.mark.parametrize("modality", ["SEG", "SR", "OT", "PR", "CT"])
def test_results_and_strangers_are_left_alone(cursor: Cursor, modality: str) -> None:
    pair = Pair(modality=modality)
    follow(pair, cursor)
    assert pair.stored == [] and "/v1/segment" not in pair.asked
    assert kept(cursor) == (3, [])


def test_an_image_that_keeps_failing_is_given_up_and_tried_at_the_next_start(
    cursor: Cursor,
) -> None:
    pair = Pair(trouble=failing("/v1/segment", 10_000, 500))
    follow(pair, cursor)
    assert pair.asked.count("/v1/segment") == 3
    assert kept(cursor) == (3, ["i"])
    again = Pair()
    follow(again, Cursor.load(cursor.file))
    assert again.stored == [b"seg", b"sr"]
    assert kept(cursor) == (3, [])


def test_one_that_fails_for_a_while_is_done_in_the_end(cursor: Cursor) -> None:
    pair = Pair(trouble=failing("/v1/segment", 2))
    follow(pair, cursor)
    assert pair.stored == [b"seg", b"sr"]
    assert kept(cursor) == (3, [])


@pytest.mark.parametrize("away", ["/health/ready", "/system"])
def test_an_outage_of_either_is_waited_out_however_long(cursor: Cursor, away: str) -> None:
    left = [40]

    def trouble(request: httpx.Request) -> httpx.Response | None:
        if left[0] and request.url.path in ("/v1/segment", away):
            left[0] -= 1
            raise httpx.ConnectError("refused")
        return None

    pair = Pair(trouble=trouble)
    follow(pair, cursor)
    assert pair.asked.count("/v1/segment") > 10
    assert (pair.stored, kept(cursor)) == ([b"seg", b"sr"], (3, []))


@pytest.mark.parametrize(
    ("code", "times", "given_up"),
    [("multi-frame", 1, []), ("decode-limit", 3, ["i"]), ("decode-failed", 3, ["i"])],
)
def test_a_refusal_is_final_unless_it_may_be_the_moments_fault(
    cursor: Cursor, code: str, times: int, given_up: list[str]
) -> None:
    pair = Pair(trouble=refusing(code))
    follow(pair, cursor)
    assert pair.asked.count("/v1/segment") == times
    assert kept(cursor) == (3, given_up)


def test_told_to_stop_in_an_outage_it_will_begin_there_again(cursor: Cursor) -> None:
    pair = Pair()

    def trouble(request: httpx.Request) -> httpx.Response | None:
        if request.url.path == "/v1/segment" and pair.follower is not None:
            pair.follower.stop.set()
            return httpx.Response(503)
        return None

    pair.trouble = trouble
    follow(pair, cursor)
    assert kept(cursor) == (0, [])


def test_another_database_is_read_from_its_start(cursor: Cursor) -> None:
    cursor.last = 1000
    pair = Pair()
    follow(pair, cursor)
    assert pair.stored == [b"seg", b"sr"]


@pytest.mark.parametrize("length", [3, 9])
def test_another_log_that_has_grown_beyond_the_cursor_is_read_from_its_start(
    cursor: Cursor, length: int
) -> None:
    follow(Pair(), cursor)
    pair = Pair(log=log_of(*range(1, length + 1), day="20260102"))
    follow(pair, Cursor.load(cursor.file))
    assert pair.stored == [b"seg", b"sr"]
    assert kept(cursor) == (length, [])


def test_an_older_copy_that_comes_while_it_runs_is_read_from_where_the_two_part(
    cursor: Cursor,
) -> None:
    before = log_of(1, 2, 3)
    pair = Pair(log=before)
    logs = {
        3: [*before, *log_of(4, 5, 6, instance="lost")],
        6: [*before, *log_of(4, 5, 6, 7, 8, day="20260102", instance="new")],
    }

    def trouble(request: httpx.Request) -> httpx.Response | None:
        if request.url.path == "/changes":
            pair.log = logs.pop(cursor.last or 0, pair.log)
        return None

    pair.trouble = trouble
    follow(pair, cursor)
    told = [path.split("/")[2] for path in pair.asked if path.endswith("/series")]
    assert told == ["i", "lost", "new"]
    assert kept(cursor) == (8, [])


def test_an_older_copy_that_has_an_image_and_not_its_results_gets_them_again(
    cursor: Cursor,
) -> None:
    # Changes 4 to 6 came with the results; the copy was made before.
    follow(Pair(log=[*log_of(1, 2, 3), *log_of(4, 5, 6, instance="seg")]), cursor)
    pair = Pair(log=[*log_of(1, 2, 3), *log_of(4, 5, 6, day="20260102", instance="new")])
    follow(pair, Cursor.load(cursor.file))
    told = [path.split("/")[2] for path in pair.asked if path.endswith("/series")]
    assert told == ["i", "new"]
    assert kept(cursor) == (6, [])


def test_changes_that_were_deleted_with_their_image_are_not_missed(cursor: Cursor) -> None:
    pair = Pair()
    follow(pair, cursor)
    pair.log += log_of(4, 5, 6, instance="j")
    follow(pair, cursor)
    pair.log, pair.asked = log_of(1, 2, 3), []
    follow(pair, Cursor.load(cursor.file))
    assert not any(path.endswith("/series") for path in pair.asked)
    pair.log += log_of(7, 8, 9, instance="k")
    follow(pair, Cursor.load(cursor.file))
    assert [path for path in pair.asked if path.endswith("/series")] == ["/instances/k/series"]


def test_what_is_deleted_while_there_is_much_to_read_does_not_send_it_back(cursor: Cursor) -> None:
    pair = Pair(log=[*log_of(1, 2, 3), *log_of(4, 5, 6, instance="j")])
    pair.trouble = lambda request: (
        pair.follower.stop.set() if request.url.path == "/instances/j/series" else None
    )
    follow(pair, cursor, attempts=1)
    cursor.last, cursor.marks = 4, [mark for mark in cursor.marks if mark.number <= 4]
    pair.log, pair.trouble = pair.log[4:], lambda _: None
    with capture_logs() as logs:
        follow(pair, cursor)
    assert not any(line["event"] == "follow-anew" for line in logs)
    assert kept(cursor) == (6, [])


def test_a_cursor_without_marks_takes_the_change_that_it_stands_on_for_its_own(
    cursor: Cursor,
) -> None:
    cursor.last = 3
    follow(Pair(), cursor)
    assert cursor.marks == [Mark(3, "NewStudy s 20260101T120000", 3)]
    pair = Pair(log=log_of(1, 2, 3, 4, day="20260102"))
    follow(pair, Cursor.load(cursor.file))
    assert pair.stored == [b"seg", b"sr"]


@pytest.mark.parametrize(
    ("kinds", "received", "code", "differing"),
    [
        (("seg",), "20260101T110000", None, None),
        (("seg",), "20260101T120000", None, None),
        # Within the second in which its results were stored, as most are: not made again.
        (("sr",), "20260101T120000", None, None),
        # Stored again: the same comes out, another, nothing.
        (("seg",), "20260102T110000", None, None),
        (("sr",), "20260102T110000", None, ["sr"]),
        (("seg",), "20260102T110000", "multi-frame", ["seg"]),
    ],
)
def test_results_of_other_pixels_under_the_uid_are_never_taken_for_done(
    cursor: Cursor,
    kinds: tuple[str, ...],
    received: str,
    code: str | None,
    differing: list[str] | None,
) -> None:
    origin = origin_of(FILE, ServiceIdentity(MODEL, "0.1.0"))
    assert origin is not None
    pair = Pair(held={origin.uid(kind, "instance") for kind in kinds}, received=received)
    if code is not None:
        pair.trouble = refusing(code)
    with capture_logs() as logs:
        follow(pair, cursor, kinds=kinds)
    assert pair.stored == []
    told = [line for line in logs if line["event"] == "results-differ"]
    assert [line["kinds"] for line in told] == ([] if differing is None else [differing])
    assert kept(cursor)[1] == ([] if differing is None else ["i"])
    assert any(line["event"] == "followed" for line in logs) == (differing is None)
    # Once they are deleted, the next start makes them.
    again = Pair(received=received)
    follow(again, Cursor.load(cursor.file), kinds=kinds)
    assert again.stored == ([] if differing is None else [kind.encode() for kind in kinds])


def test_without_a_place_it_begins_with_what_comes(tmp_path: Path) -> None:
    cursor, pair = Cursor(tmp_path / "cursor.json"), Pair(log=log_of(5, 6, 7))
    follow(pair, cursor)
    assert (pair.stored, kept(cursor)) == ([], (7, []))


def test_an_answer_that_no_orthanc_gives_ends_it(cursor: Cursor) -> None:
    def trouble(request: httpx.Request) -> httpx.Response | None:
        is_page = request.url.path == "/changes" and "since" in request.url.params
        return httpx.Response(200, content=b"<html>") if is_page else None

    with pytest.raises(Denied):
        follow(Pair(trouble=trouble), cursor)


@pytest.mark.parametrize("path", ["/changes", "/v1/model"])
def test_wrong_credentials_and_strangers_end_it(cursor: Cursor, path: str) -> None:
    with pytest.raises(Denied):
        follow(Pair(trouble=failing(path, 1, 401)), cursor)
    with pytest.raises(Denied):
        follow(Pair(trouble=failing(path, 1, 404)), cursor)
