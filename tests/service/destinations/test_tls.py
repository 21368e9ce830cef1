"""DICOM TLS to dcmtk's storescp, and mutual TLS to a DICOMweb server behind nginx."""

import asyncio
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from service.destinations.destination import ClientOptions
from service.destinations.registry import KINDS
from service.destinations.store import DicomDestination
from service.dimse.store_status import NotDelivered
from service.errors import StartupError
from service.outputs.dicom.registry import syntaxes_of
from tests.certificates import DAY, Authority, Issued
from tests.dcmtk import storescp
from tests.orthanc import running_orthanc
from tests.ports import free_port
from tests.programs import require_program
from tests.waiting import comes_true

pytestmark = pytest.mark.integration

UID = "1.2.3.4.1.1"
OPTIONS = ClientOptions("MAMMOSEG", syntaxes_of(["seg"]), lambda report: None)


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture(scope="module")
def stranger(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("stranger"), "stranger")


@pytest.fixture(scope="module")
def server(authority: Authority) -> Issued:
    return authority.issue("localhost")


@pytest.fixture(scope="module")
def client(authority: Authority) -> Issued:
    return authority.issue("mammoseg", to_client=True)


def send(file: Path, **settings: Any) -> int | None:
    async def once() -> int | None:
        kind = KINDS["dicom" if settings["url"].startswith("dicom") else "stow"]
        async with kind.model_validate(settings).client(OPTIONS) as client:
            return await client.store(file)

    return asyncio.run(once())


def refusal(file: Path, **settings: Any) -> str:
    with pytest.raises(NotDelivered) as refused:
        send(file, **settings)
    assert not refused.value.permanent and not refused.value.reachable
    return refused.value.code


def tls_options(pair: Issued, authority: Authority) -> list[str | Path]:
    return ["+tls", pair.key, pair.certificate, "+cf", authority.file]


def secure(port: int, authority: Authority, pair: Issued | None, **more: Any) -> dict[str, Any]:
    shown = {"certificate": pair.certificate, "key": pair.key} if pair is not None else {}
    return {
        "url": f"dicoms://ARCHIVE@localhost:{port}",
        "ca": authority.file,
        **shown,
        "timeout_s": 10,
        **more,
    }


def test_dcmtk_takes_results_by_tls_with_certificates_on_both_sides(
    file: Path, tmp_path: Path, authority: Authority, server: Issued, client: Issued
) -> None:
    folder = tmp_path / "archive"
    folder.mkdir()
    with storescp(folder, *tls_options(server, authority)) as port:
        assert send(file, **secure(port, authority, client)) is None
    assert any(UID in path.name for path in folder.iterdir())


def test_no_certificate_an_expired_one_and_a_strangers_are_refused(
    file: Path, tmp_path: Path, authority: Authority, stranger: Authority, server: Issued
) -> None:
    folder = tmp_path / "archive"
    folder.mkdir()
    with storescp(folder, *tls_options(server, authority)) as port:
        for pair in (
            None,
            authority.issue("expired", to_client=True, ends_in=-DAY),
            stranger.issue("mammoseg", to_client=True),
        ):
            assert refusal(file, **secure(port, authority, pair)) in ("tls-certificate", "tls")
    assert not any(UID in path.name for path in folder.iterdir())


def test_an_archive_whose_certificate_is_not_valid_gets_nothing(
    file: Path, tmp_path: Path, authority: Authority, stranger: Authority, client: Issued
) -> None:
    for pair in (authority.issue("expired", ends_in=-DAY), stranger.issue("localhost")):
        folder = tmp_path / pair.certificate.stem
        folder.mkdir()
        with storescp(folder, *tls_options(pair, authority)) as port:
            assert refusal(file, **secure(port, authority, client)) == "tls-certificate"
        assert not any(UID in path.name for path in folder.iterdir())


def test_a_certificate_of_another_host_is_refused_unless_that_is_not_checked(
    file: Path, tmp_path: Path, authority: Authority, server: Issued, client: Issued
) -> None:
    folder = tmp_path / "archive"
    folder.mkdir()
    with storescp(folder, *tls_options(server, authority)) as port:
        other = secure(port, authority, client, url=f"dicoms://ARCHIVE@127.0.0.2:{port}")
        assert refusal(file, **other) == "tls-certificate"
        assert send(file, **other, verify_host=False) is None


def test_tls_to_an_archive_that_speaks_none_is_refused(
    file: Path, tmp_path: Path, authority: Authority, client: Issued
) -> None:
    folder = tmp_path / "archive"
    folder.mkdir()
    with storescp(folder) as port:
        code = refusal(file, **secure(port, authority, client, timeout_s=2))
    assert code in ("tls", "timeout", "unreachable")


def test_files_that_change_are_read_again(
    file: Path, tmp_path: Path, authority: Authority, server: Issued, client: Issued
) -> None:
    folder, pair = tmp_path / "archive", Issued(tmp_path / "own.pem", tmp_path / "own.key")
    folder.mkdir()
    expired = authority.issue("expired", ends_in=-DAY)

    def take(other: Issued) -> None:
        shutil.copy(other.certificate, pair.certificate)
        shutil.copy(other.key, pair.key)

    async def renewed(port: int) -> None:
        destination = DicomDestination.model_validate(secure(port, authority, pair))
        async with destination.client(OPTIONS) as sender:
            with pytest.raises(NotDelivered):
                await sender.store(file)
            pair.certificate.write_text("half a file")
            with pytest.raises(NotDelivered):
                await sender.store(file)
            take(client)
            assert await sender.store(file) is None

    take(expired)
    with storescp(folder, *tls_options(server, authority)) as port:
        asyncio.run(renewed(port))


def test_files_that_are_not_there_or_no_pair_end_the_start(
    tmp_path: Path, authority: Authority, server: Issued, client: Issued
) -> None:
    wrong: list[dict[str, Path]] = [
        {"ca": tmp_path / "none.pem"},
        {"ca": server.key},
        {"certificate": client.certificate, "key": server.key},
    ]
    for url in ("dicoms://ARCHIVE@localhost", "https://localhost"):
        for files in wrong:
            kind = KINDS["dicom" if url.startswith("dicom") else "stow"]
            with pytest.raises(StartupError, match="the TLS files of destination"):
                kind.model_validate({"url": url, **files}).client(OPTIONS)


NGINX = """
daemon off; pid {folder}/nginx.pid; error_log {folder}/error.log;
events {{}}
http {{
  access_log off; client_max_body_size 0;
  client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy;
  fastcgi_temp_path {folder}/f; uwsgi_temp_path {folder}/u; scgi_temp_path {folder}/s;
  server {{
    listen 127.0.0.1:{port} ssl;
    ssl_certificate {server.certificate}; ssl_certificate_key {server.key};
    ssl_client_certificate {authority.file}; ssl_verify_client on;
    location / {{ proxy_pass {orthanc}; }}
  }}
}}
"""


@contextmanager
def nginx(folder: Path, orthanc: str, authority: Authority, server: Issued) -> Iterator[int]:
    """Run nginx before a server; it asks for a client's certificate."""
    port = free_port()
    configuration = folder / "nginx.conf"
    configuration.write_text(
        NGINX.format(folder=folder, port=port, server=server, authority=authority, orthanc=orthanc)
    )
    command = [require_program("nginx", "nginx"), "-p", folder, "-c", configuration]
    process = subprocess.Popen([*map(str, command)], stderr=subprocess.DEVNULL)
    try:
        assert comes_true(lambda: (folder / "nginx.pid").exists() or process.poll() is not None)
        assert process.poll() is None, (folder / "error.log").read_text()
        yield port
    finally:
        process.terminate()
        process.wait()


def test_orthanc_behind_nginx_takes_results_by_stow_with_a_certificate_alone(
    file: Path,
    tmp_path: Path,
    authority: Authority,
    stranger: Authority,
    server: Issued,
    client: Issued,
) -> None:
    with (
        running_orthanc(tmp_path) as orthanc,
        nginx(tmp_path, orthanc.url, authority, server) as port,
    ):
        address = {"url": f"https://localhost:{port}/dicom-web", "ca": authority.file}
        for pair in (
            None,
            authority.issue("expired", to_client=True, ends_in=-DAY),
            stranger.issue("mammoseg", to_client=True),
        ):
            shown = {"certificate": pair.certificate, "key": pair.key} if pair else {}
            with pytest.raises(NotDelivered, match=r"http-400|tls"):
                send(file, **address, **shown)
        assert orthanc.tags() == []
        send(file, **address, certificate=client.certificate, key=client.key)
        assert [tags["SOPInstanceUID"] for tags in orthanc.tags()] == [UID]
        unknown = {"url": address["url"], "ca": stranger.file}
        assert refusal(file, **unknown, certificate=client.certificate, key=client.key) == (
            "tls-certificate"
        )
