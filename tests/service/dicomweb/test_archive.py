"""Servers that repeat and lie: what is retrieved from them and stored at them, and a pull of it."""

from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from typer.testing import CliRunner

from service.cli import app
from service.dicomweb.archive import Archive, InstanceUids, ServerFailed, only_part
from service.errors import UnreadableImage
from service.imaging.limits import ReadLimits
from service.integration.pull import Pull
from tests.dicom_files import dicom_file
from tests.service.dicomweb.archive_server import SERIES, STUDY, UIDS, Server, uid_of
from tests.stow_server import failed, stored

pytestmark = pytest.mark.integration

FILE = dicom_file(SOPInstanceUID=UIDS[0], StudyInstanceUID=STUDY)
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
    "bare line feeds": b"--%b\nContent-Type: application/dicom\n\n%b\n--%b--\n",
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
    assert archive.retrieve(InstanceUids(SERIES, UIDS[0])) == FILE


def test_a_file_may_come_alone(server: Server) -> None:
    server.wado = lambda uid: ("application/dicom", FILE)
    assert Archive(server.url, STUDY).retrieve(InstanceUids(SERIES, UIDS[0])) == FILE


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


@pytest.mark.parametrize(
    "other",
    [
        {"SOPInstanceUID": UIDS[1], "StudyInstanceUID": STUDY},
        {"SOPInstanceUID": UIDS[0], "StudyInstanceUID": "1.2.4"},
        {"SOPInstanceUID": UIDS[0], "StudyInstanceUID": None},
    ],
    ids=["another instance", "another study", "no study"],
)
def test_what_was_not_asked_for_is_refused(server: Server, other: dict[str, Any]) -> None:
    server.wado = lambda uid: ("application/dicom", dicom_file(**other))
    with pytest.raises(ServerFailed, match="another-instance"):
        Archive(server.url, STUDY).retrieve(InstanceUids(SERIES, UIDS[0]))


def test_an_instance_is_bounded(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("service.dicomweb.archive.MAX_INSTANCE_BYTES", 1000)
    server.wado = lambda uid: ("application/dicom", bytes(2000))
    with pytest.raises(ServerFailed, match="answer-too-large"):
        Archive(server.url, STUDY).retrieve(InstanceUids(SERIES, UIDS[0]))


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
        ((200, b"[7]"), 1),
        ((200, b"<html><body>Please log in</body></html>"), 1),
    ],
)
def test_what_a_server_says_of_a_result_counts(
    server: Server, answer: tuple[int, bytes], refused: int, listed: bool
) -> None:
    status, body = answer
    server.stow = lambda _: (status, b"[" + body + b"]" if listed and body else body)
    assert Archive(server.url, STUDY).store([RESULT]) == refused


@dataclass
class Told:
    """What came of each instance."""

    good: list[str] = field(default_factory=list)
    bad: list[tuple[str, str]] = field(default_factory=list)

    def done(self, reference: InstanceUids, score: float) -> None:
        self.good.append(reference.instance_uid)

    def refused(self, reference: InstanceUids, reason: str) -> None:
        self.bad.append((reference.shown, reason))


def test_one_instance_that_fails_does_not_end_the_pull(server: Server, tmp_path: Path) -> None:
    server.instances[1] = uid_of("\x1b[31m1")
    server.wado = lambda uid: (
        ("multipart/related; boundary=x", b"none")
        if uid == UIDS[2]
        else ("application/dicom", dicom_file(SOPInstanceUID=uid, StudyInstanceUID=STUDY))
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
