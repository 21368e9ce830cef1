import errno
import os
import ssl
import time
from contextlib import suppress
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from service.errors import StartupError
from service.tls import TlsOptions
from service.tls import server_context as http_context
from service.tls_files import (
    DICOM_CIPHERS,
    TlsContext,
    TlsFiles,
    client_context,
    code_of,
    server_context,
)
from tests.certificates import DAY, Authority, Issued

pytestmark = pytest.mark.unit


def of(file: Path) -> TlsContext:
    """Return a context of a file that must hold a word for there to be one."""

    def make() -> ssl.SSLContext:
        if "good" not in file.read_text():
            raise ValueError
        return ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)

    return TlsContext("the test", [file], make)


def written(file: Path, text: str, age_s: float = 60.0) -> None:
    """Write a file as if so many seconds ago."""
    file.write_text(text)
    at = time.time_ns() - int(age_s * 1e9)
    os.utime(file, ns=(at, at))


def test_a_file_that_holds_what_it_held_keeps_its_context(tmp_path: Path) -> None:
    file = tmp_path / "a.pem"
    written(file, "good")
    context = of(file)
    before = context.current()
    written(file, "good", age_s=0.0)
    with capture_logs() as logs:
        assert context.current() is before
        assert context.current() is before
    assert logs == []


def test_a_change_within_one_step_of_the_clock_is_seen(tmp_path: Path) -> None:
    file = tmp_path / "a.pem"
    now = time.time_ns()
    for text in ("good 1", "good 2"):
        file.write_text(text)
        os.utime(file, ns=(now, now))
        if text == "good 1":
            context = of(file)
            before = context.current()
    with capture_logs() as logs:
        assert context.current() is not before
    assert [(line["event"], line["of"]) for line in logs] == [("tls-files-read", "the test")]


def test_files_that_give_no_context_leave_the_one_before_and_are_told_once(tmp_path: Path) -> None:
    file = tmp_path / "a.pem"
    written(file, "good")
    context = of(file)
    before = context.current()
    with capture_logs() as logs:
        file.unlink()
        assert context.current() is before
        written(file, "half", age_s=0.0)
        assert context.current() is before
        assert context.current() is before
        written(file, "good again", age_s=0.0)
        assert context.current() is not before
    broken, _, read = logs
    assert [line["event"] for line in logs] == ["tls-files-broken"] * 2 + ["tls-files-read"]
    assert broken["of"] == read["of"] == "the test"
    assert "half" not in str(logs) and str(file) not in str(logs)


@pytest.mark.parametrize("failing", [("read_text",), ("read_bytes", "read_text")])
def test_files_that_give_no_context_for_a_while_are_tried_again_and_told_once(
    failing: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("service.system.file_watch.SETTLED_NS", 0)
    file = tmp_path / "a.pem"
    written(file, "good")
    context = of(file)
    before = context.current()
    written(file, "good again")
    with capture_logs() as logs:
        with monkeypatch.context() as system:
            for name in failing:
                system.setattr(Path, name, no_descriptor)
            for _ in range(3):
                assert context.current() is before
        assert context.current() is not before
        assert context.current() is context.current()
    assert [line["event"] for line in logs] == ["tls-files-broken", "tls-files-read"]


def no_descriptor(*_: object, **__: object) -> None:
    raise OSError(errno.EMFILE, "too many open files")


def test_files_that_give_no_context_end_the_start(tmp_path: Path) -> None:
    for text in (None, "half"):
        if text is not None:
            written(tmp_path / "a.pem", text)
        with pytest.raises(StartupError, match="the TLS files of the test cannot be read"):
            of(tmp_path / "a.pem")


def test_only_files_that_are_named_are_watched() -> None:
    assert TlsFiles().paths == ()
    assert TlsFiles(Path("a"), None, Path("c")).paths == (Path("a"), Path("c"))


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (ssl.SSLCertVerificationError(1, "expired"), "tls-certificate"),
        (OSError("no reason"), "tls"),
    ],
)
def test_a_handshake_that_fails_by_a_certificate_has_its_own_code(
    error: OSError, code: str
) -> None:
    assert code_of(error) == code


@pytest.mark.parametrize(
    ("reason", "code"),
    [
        ("CERTIFICATE_VERIFY_FAILED", "tls-certificate"),
        ("TLSV1_ALERT_UNKNOWN_CA", "tls-certificate"),
        ("WRONG_VERSION_NUMBER", "tls"),
    ],
)
def test_the_reason_of_openssl_says_which_code(reason: str, code: str) -> None:
    error = ssl.SSLError(1, "x")
    error.reason = reason
    assert code_of(error) == code


class Listener:
    """A server's context, spoken to in memory."""

    def __init__(self, door: str, server: Issued, client_ca: Path | None) -> None:
        if door == "serve":
            options = TlsOptions(server.certificate, server.key, client_ca)
            self.context = http_context(options)
        else:
            files = TlsFiles(server.certificate, server.key, client_ca)
            self.context = server_context("the test", files, DICOM_CIPHERS)

    def hello(
        self, context: ssl.SSLContext, session: ssl.SSLSession | None = None
    ) -> ssl.SSLObject:
        """Connect, hear a word, say goodbye; return the client's side."""
        to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
        theirs = self.context.wrap_bio(to_server, to_client, server_side=True)
        ours = context.wrap_bio(to_client, to_server, server_hostname="localhost", session=session)
        waiting = [ours.do_handshake, theirs.do_handshake]
        while waiting:
            step = waiting.pop(0)
            try:
                step()
            except ssl.SSLWantReadError:
                waiting.append(step)
        theirs.write(b"hello")
        assert ours.read(5) == b"hello"
        # A session that is not left in order is not resumed in any case.
        for side in (ours, theirs, ours):
            with suppress(ssl.SSLWantReadError):
                side.unwrap()
        return ours


@pytest.mark.parametrize("door", ["serve", "scp"])
@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
@pytest.mark.parametrize("asks", [False, True])
def test_no_session_outlives_the_certificate_that_began_it(
    door: str, version: ssl.TLSVersion, asks: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    authority = Authority(tmp_path)
    mine = authority.issue("client", to_client=True)
    listener = Listener(door, authority.issue("server"), authority.file if asks else None)
    context = client_context(TlsFiles(mine.certificate, mine.key, authority.file))
    context.maximum_version = version
    first = listener.hello(context)
    assert not first.session_reused
    # Of TLS 1.2 the server's own memory cannot be turned off.
    may_resume = not asks or version == ssl.TLSVersion.TLSv1_2
    again = listener.hello(context, first.session)
    assert again.session_reused is may_resume
    later = time.time() + 2 * DAY.total_seconds()
    monkeypatch.setattr(time, "time", lambda: later)
    if asks and may_resume:
        with pytest.raises(ssl.SSLCertVerificationError):
            listener.hello(context, first.session)
    else:
        assert listener.hello(context, again.session).session_reused is may_resume


@pytest.mark.parametrize("door", ["serve", "scp"])
def test_a_listener_speaks_new_versions_only_and_never_renegotiates(
    door: str, tmp_path: Path
) -> None:
    context = Listener(door, Authority(tmp_path).issue("server"), None).context
    assert context.minimum_version == ssl.TLSVersion.TLSv1_2
    for option in (ssl.OP_NO_RENEGOTIATION, ssl.OP_NO_COMPRESSION, ssl.OP_CIPHER_SERVER_PREFERENCE):
        assert context.options & option
    old = [each["name"] for each in context.get_ciphers() if each["protocol"] == "TLSv1.2"]
    assert old and all(name.startswith("ECDHE-") for name in old)
    assert not any("CBC" in name or name.endswith("-SHA") for name in old)
