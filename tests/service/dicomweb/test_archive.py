"""Servers that page, truncate, repeat and lie: all that is there is found, or it is said."""

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast
from urllib.parse import parse_qs, urlsplit

import pytest
from typer.testing import CliRunner

from service.cli import app
from service.dicomweb.archive import Archive, InstanceReference, ServerFailed, only_part
from service.errors import UnreadableImage
from service.imaging.limits import ReadLimits
from service.integration.pull import Pull
from tests.dicom_files import dicom_file
from tests.stow_server import Reply, failed, stored

pytestmark = pytest.mark.integration

STUDY, SERIES = "1.2.3", "1.2.3.1"
UIDS = [f"1.2.3.1.{number}" for number in range(1, 13)]
MORE = '299 "x: There are 7 additional results that can be requested"'


@dataclass
class Server:
    """A study on the loopback.

    Attributes
    ----------
    page
        Most results it gives at once.
    pages
        It knows `offset`.
    says_more
        Warning header of what is not all.
    after
        Status of a page behind the last.
    instances, series
        What it lists.
    wado
        Answers a retrieval: content type and body.
    stow
        Answers a store: content type and body come of it.
    asked
        Paths and queries.
    """

    url: str = ""
    page: int = 1000
    pages: bool = True
    says_more: str | None = None
    after: int = 200
    busy: int = 0
    instances: list[Any] = field(default_factory=lambda: [uid_of(uid) for uid in UIDS])
    series: list[Any] = field(default_factory=lambda: [series_of(SERIES)])
    wado: Callable[[str], tuple[str, bytes]] = lambda uid: ("application/dicom", b"")
    stow: Callable[[bytes], Reply] = lambda body: (200, b"")
    asked: list[str] = field(default_factory=list)

    def answer(self, path: str, query: dict[str, list[str]]) -> tuple[int, str | None, bytes]:
        listed = self.series if path.endswith("/series") else self.instances
        offset = int(query.get("offset", ["0"])[0]) if self.pages else 0
        limit = min(self.page, int(query.get("limit", ["1000"])[0]))
        found = listed[offset : offset + limit]
        if not found and offset:
            return self.after, None, b"[]" if self.after == 200 else b""
        more = self.says_more if offset + limit < len(listed) else None
        return 200, more, json.dumps(found).encode()


def uid_of(uid: Any) -> dict[str, Any]:
    return {"00080018": {"vr": "UI", "Value": [uid]}}


def series_of(uid: Any, modality: str | None = "MG") -> dict[str, Any]:
    said: dict[str, Any] = {"0020000E": {"vr": "UI", "Value": [uid]}}
    return said if modality is None else said | {"00080060": {"vr": "CS", "Value": [modality]}}


@contextmanager
def running() -> Iterator[Server]:
    state = Server()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            state.asked.append(self.path)
            if state.busy:
                state.busy -= 1
                self.reply(503, {}, b"")
                return
            parts = urlsplit(self.path)
            *_, last = parts.path.split("/")
            if last in ("series", "instances"):
                status, warning, body = state.answer(parts.path, parse_qs(parts.query))
                headers = {"Content-Type": "application/dicom+json"}
                self.reply(status, headers | ({"Warning": warning} if warning else {}), body)
            else:
                content_type, body = state.wado(last)
                self.reply(200, {"Content-Type": content_type}, body)

        def do_POST(self) -> None:
            answer = state.stow(self.rfile.read(int(self.headers["Content-Length"])))
            assert answer is not None
            self.reply(answer[0], {"Content-Type": "application/dicom+json"}, answer[1])

        def reply(self, status: int, headers: dict[str, str], body: bytes) -> None:
            self.send_response(status)
            for name, value in (headers | {"Content-Length": str(len(body))}).items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: Any) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        state.url = f"http://127.0.0.1:{server.server_port}/dicom-web"
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield state
        finally:
            server.shutdown()
            thread.join()


@pytest.fixture
def server() -> Iterator[Server]:
    with running() as server:
        yield server


def found(server: Server) -> list[str]:
    return [reference.instance_uid for reference in Archive(server.url, STUDY).mammograms({"MG"})]


@pytest.mark.parametrize("page", [1, 5, 6, 12, 1000])
@pytest.mark.parametrize("says_more", [None, MORE])
@pytest.mark.parametrize("after", [200, 204, 404])
def test_all_pages_of_a_search_are_read(
    server: Server, page: int, says_more: str | None, after: int
) -> None:
    server.page, server.says_more, server.after = page, says_more, after
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


FILE = dicom_file()
BOUNDARY = b"a.b'c(d)e"
HEADS = b"Content-Type: application/dicom\r\n\r\n"
WRAPPED = {
    "plain": b"--%b\r\n" + HEADS + b"%b\r\n--%b--\r\n",
    "a line before the boundary": b"\r\n--%b\r\n" + HEADS + b"%b\r\n--%b--",
    "text before it": b"This is a preamble.\r\n--%b\r\n" + HEADS + b"%b\r\n--%b--",
    "text after it": b"--%b\r\n" + HEADS + b"%b\r\n--%b--\r\nThis is an epilogue.\r\n--x",
    "blanks after the boundary": b"--%b \t\r\n" + HEADS + b"%b\r\n--%b--",
    "no headers": b"--%b\r\n\r\n%b\r\n--%b--",
    "folded headers": b"--%b\r\nContent-Type: application/dicom;\r\n x=y\r\n\r\n%b\r\n--%b--",
    "bare line feeds in front": b"--%b\nContent-Type: application/dicom\n\n%b\r\n--%b--",
}


@pytest.mark.parametrize("how", WRAPPED)
def test_an_instance_comes_byte_for_byte(server: Server, how: str) -> None:
    body = WRAPPED[how] % (BOUNDARY, FILE, BOUNDARY)
    boundary = BOUNDARY.decode()
    server.wado = lambda uid: (
        f'Multipart/Related; type="application/dicom"; boundary="{boundary}"',
        body,
    )
    archive = Archive(server.url, STUDY)
    assert archive.retrieve(InstanceReference(SERIES, UIDS[0])) == FILE


def test_a_file_may_come_alone(server: Server) -> None:
    server.wado = lambda uid: ("application/dicom", FILE)
    assert Archive(server.url, STUDY).retrieve(InstanceReference(SERIES, UIDS[0])) == FILE


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"no boundary",
        b"--x\r\n",
        b"--x\r\nA: b\r\n\r\ncut",
        b"--x\r\n\r\n1\r\n--x\r\n\r\n2\r\n--x--",
    ],
)
def test_what_is_no_one_instance_is_refused(body: bytes) -> None:
    with pytest.raises(ServerFailed, match="answer-"):
        only_part(body, b"x")


def test_an_instance_is_bounded(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("service.dicomweb.archive.MAX_INSTANCE_BYTES", 1000)
    server.wado = lambda uid: ("application/dicom", bytes(2000))
    with pytest.raises(ServerFailed, match="answer-too-large"):
        Archive(server.url, STUDY).retrieve(InstanceReference(SERIES, UIDS[0]))


RESULT = dicom_file(SOPInstanceUID="1.2.9")


@pytest.mark.parametrize("listed", [False, True])
@pytest.mark.parametrize(
    ("answer", "refused"),
    [
        (stored("1.2.9"), 0),
        (failed("1.2.9", 0x0111), 0),
        (failed("1.2.9", 0xB00E), 0),
        (failed("1.2.9", 0x0110), 1),
        (failed("1.2.9", 0xA700, 202), 1),
        ((200, b""), 0),
        ((409, b""), 1),
        ((500, b"oops"), 1),
        ((200, b"null"), 0),
        ((200, b"[7]"), 0),
    ],
)
def test_what_a_server_says_of_a_result_counts(
    server: Server, answer: tuple[int, bytes], refused: int, listed: bool
) -> None:
    status, body = answer
    server.stow = lambda _: (status, b"[" + body + b"]" if listed and body else body)
    assert Archive(server.url, STUDY).store([RESULT]) == refused


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


@dataclass
class Told:
    """What came of each instance."""

    good: list[str] = field(default_factory=list)
    bad: list[tuple[str, str]] = field(default_factory=list)

    def done(self, reference: InstanceReference, score: float) -> None:
        self.good.append(reference.instance_uid)

    def refused(self, reference: InstanceReference, reason: str) -> None:
        self.bad.append((reference.shown, reason))


def test_one_instance_that_fails_does_not_end_the_pull(server: Server, tmp_path: Path) -> None:
    server.instances[1] = uid_of("\x1b[31m1")
    server.wado = lambda uid: (
        ("multipart/related; boundary=x", b"none")
        if uid == UIDS[2]
        else ("application/dicom", FILE)
    )

    def segment(body: bytes, options: Any) -> Any:
        if len(told.good) == 5:
            raise UnreadableImage("truncated", "The file breaks off.")
        read = SimpleNamespace(header=SimpleNamespace(dataset=lambda: None))
        return SimpleNamespace(has_mask=SimpleNamespace(score=0.5), mammogram=read)

    told = Told()
    pull = Pull(cast(Any, SimpleNamespace(segment=segment)), ReadLimits(), (), None, store=False)
    assert pull.run(Archive(server.url, STUDY), told) == 7
    assert told.good == [UIDS[0], *UIDS[3:7]]
    assert told.bad[:2] == [
        ("??31m1", "the server failed (uid-invalid)"),
        (UIDS[2], "the server failed (answer-broken)"),
    ]


@pytest.mark.parametrize("study", ["../..", "1.2.3/../4", "", "1.2.3\x1b[2J", "x"])
def test_a_study_that_is_no_uid_is_refused(study: str) -> None:
    done = CliRunner().invoke(
        app, ["pull", "--dicomweb", "http://127.0.0.1:1", "--study", study, "--store"]
    )
    assert done.exit_code == 2
    assert "\x1b" not in done.stderr and "Study Instance UID" in done.stderr
