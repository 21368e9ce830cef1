"""`mammoseg scp` by DICOM TLS, called by dcmtk with good certificates and with bad ones."""

import socket
import ssl
from collections.abc import Callable, Iterator

import pytest

from service.errors import StartupError
from service.inbox.inbox import Inbox
from service.inbox.scp import StoreScp
from service.settings import Settings
from service.tls_files import DICOM_SUITES
from tests.certificates import DAY, Authority, Issued
from tests.service.inbox.conftest import mammogram
from tests.service.inbox.senders import changed, echo

pytestmark = pytest.mark.integration


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture(scope="module")
def server(authority: Authority) -> Issued:
    return authority.issue("localhost")


def tls(pair: Issued, authority: Authority) -> tuple[str, ...]:
    """Return dcmtk's options."""
    files = (pair.key, pair.certificate, "+cf", authority.file)
    return ("+tls", *map(str, files))


@pytest.fixture
def secure(
    inbox: Inbox, settings: Settings, server: Issued, authority: Authority, scp: StoreScp
) -> Iterator[StoreScp]:
    files = {"scp_tls_certificate": server.certificate, "scp_tls_key": server.key}
    with StoreScp(inbox, changed(settings, **files, scp_tls_client_ca=authority.file)) as secure:
        yield secure


def test_storescu_stores_with_certificates_on_both_sides(
    inbox: Inbox, secure: StoreScp, send: Callable[..., str], authority: Authority
) -> None:
    said = send(
        secure, mammogram(), "-xe", *tls(authority.issue("modality", to_client=True), authority)
    )
    assert "Received Store Response (Success)" in said
    assert len(inbox.instances.entries("received", 9)) == 1


def test_a_large_instance_arrives_whole_by_tls(
    inbox: Inbox, secure: StoreScp, send: Callable[..., str], authority: Authority
) -> None:
    """Records of TLS and PDUs do not end together: what is decrypted and not read must not wait."""
    file = mammogram(pixel_data=bytes(range(256)) * 3000)
    said = send(secure, file, "-xe", *tls(authority.issue("modality", to_client=True), authority))
    assert "Received Store Response (Success)" in said
    (entry,) = inbox.instances.entries("received", 9)
    assert inbox.files.source(entry.digest).read_bytes().endswith(file[-500_000:])


def test_an_expired_certificate_a_strangers_and_none_are_refused_and_logged(
    inbox: Inbox,
    secure: StoreScp,
    send: Callable[..., str],
    authority: Authority,
    tmp_path_factory: pytest.TempPathFactory,
    capsys: pytest.CaptureFixture[str],
) -> None:
    stranger = Authority(tmp_path_factory.mktemp("stranger"), "stranger")
    for pair in (
        authority.issue("ERIKA^MUSTERMANN", to_client=True, ends_in=-DAY),
        stranger.issue("ERIKA^MUSTERMANN", to_client=True),
    ):
        said = send(secure, mammogram(), "-xe", *tls(pair, authority))
        assert "(Success)" not in said
    assert not echo(secure)
    logged = "".join(capsys.readouterr())
    assert logged.count("tls-certificate") == 2 and logged.count("code=tls ") == 1
    assert "MUSTERMANN" not in logged and "127.0.0.1" in logged
    assert inbox.instances.entries(None, 9) == []
    assert echo(secure, *tls(authority.issue("modality", to_client=True), authority))


def test_without_an_authority_any_caller_may_come_by_tls(
    inbox: Inbox, settings: Settings, server: Issued, authority: Authority, scp: StoreScp
) -> None:
    files = {"scp_tls_certificate": server.certificate, "scp_tls_key": server.key}
    with StoreScp(inbox, changed(settings, **files)) as secure:
        assert echo(secure, *tls(authority.issue("anybody", to_client=True), authority))
        assert not echo(secure)


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_the_profiles_versions_and_suites_are_spoken(
    inbox: Inbox, settings: Settings, server: Issued, scp: StoreScp, version: ssl.TLSVersion
) -> None:
    files = {"scp_tls_certificate": server.certificate, "scp_tls_key": server.key}
    with StoreScp(inbox, changed(settings, **files)) as secure:
        offered = ssl.create_default_context()
        offered.check_hostname, offered.verify_mode = False, ssl.CERT_NONE
        offered.minimum_version = offered.maximum_version = version
        agreed = _handshake(secure.port, offered)
        assert agreed in DICOM_SUITES or version == ssl.TLSVersion.TLSv1_3
        offered.minimum_version = offered.maximum_version = ssl.TLSVersion.TLSv1_2
        offered.set_ciphers("ECDHE-RSA-AES256-SHA384:AES256-GCM-SHA384:DHE-RSA-AES128-GCM-SHA256")
        with pytest.raises(ssl.SSLError, match="HANDSHAKE_FAILURE"):
            _handshake(secure.port, offered)


def _handshake(port: int, context: ssl.SSLContext) -> str:
    with (
        socket.create_connection(("127.0.0.1", port), timeout=30) as line,
        context.wrap_socket(line, server_hostname="localhost") as secured,
    ):
        agreed = secured.cipher()
        assert agreed is not None
        return agreed[0]


def test_silent_connections_lock_nobody_out_by_tls(
    secure: StoreScp, authority: Authority, capsys: pytest.CaptureFixture[str]
) -> None:
    lines = [socket.create_connection(("127.0.0.1", secure.port)) for _ in range(70)]
    assert echo(secure, *tls(authority.issue("modality", to_client=True), authority))
    for line in lines:
        line.close()
    assert "scp-refused" not in "".join(capsys.readouterr())


def test_files_that_are_no_pair_end_the_start(
    inbox: Inbox, settings: Settings, server: Issued, authority: Authority
) -> None:
    other = authority.issue("other")
    files = {"scp_tls_certificate": server.certificate, "scp_tls_key": other.key}
    with pytest.raises(StartupError, match="the TLS files of mammoseg scp"):
        StoreScp(inbox, changed(settings, **files))


def test_a_key_or_an_authority_alone_is_a_mistake(settings: Settings, server: Issued) -> None:
    for name in ("scp_tls_key", "scp_tls_client_ca"):
        with pytest.raises(ValueError, match="need scp_tls_certificate"):
            changed(settings, **{name: server.key})
