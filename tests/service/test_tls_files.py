import os
import ssl
import time
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from service.errors import StartupError
from service.tls_files import TlsContext, TlsFiles, code_of

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
