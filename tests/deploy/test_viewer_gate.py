"""What nginx lets through to Orthanc, as deploy/ohif sets it up: whoever reaches it may look."""

from collections.abc import Iterator
from http.client import HTTPConnection
from typing import Any
from urllib.parse import urlsplit

import pytest

from tests.dicom_files import dicom_file
from tests.orthanc import Orthanc, running_orthanc
from tests.viewers.ohif import running_ohif

pytestmark = pytest.mark.integration

EVIL = b'{"Url": "http://127.0.0.1:9/steal/"}'


@pytest.fixture(scope="module")
def orthanc(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Orthanc]:
    servers = {"mammoseg": {"Url": "http://127.0.0.1:9/dicom-web/", "HasDelete": True}}
    folder = tmp_path_factory.mktemp("orthanc")
    with running_orthanc(folder, DicomWeb={"Servers": servers}) as orthanc:
        orthanc.store(
            dicom_file(PatientID="1", StudyInstanceUID="2.25.7", SeriesInstanceUID="2.25.8")
        )
        yield orthanc


@pytest.fixture(scope="module")
def address(orthanc: Orthanc, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    files = tmp_path_factory.mktemp("files")
    (files / "index.html").write_text("viewer")
    with running_ohif(tmp_path_factory.mktemp("ohif"), orthanc, files=files) as address:
        yield address


@pytest.fixture
def instance(orthanc: Orthanc) -> dict[str, str]:
    (tags,) = orthanc.tags()
    return tags


def asked(
    address: str,
    method: str,
    path: str,
    body: bytes | None = None,
    *,
    headers: dict[str, str] | None = None,
) -> tuple[int, bytes]:
    """Ask for a path as it is written: no client may make another of it."""
    connection = HTTPConnection(urlsplit(address).netloc, timeout=30)
    try:
        connection.request(method, path, body, headers or {})
        answer = connection.getresponse()
        return answer.status, answer.read()
    finally:
        connection.close()


def kept(orthanc: Orthanc) -> tuple[Any, int]:
    """Return what nobody may change through the viewer."""
    return orthanc.get("dicom-web/servers?expand"), len(orthanc.get("instances"))


def test_what_a_viewer_asks_for_comes_through(address: str, instance: dict[str, str]) -> None:
    study = f"/dicom-web/studies/{instance['StudyInstanceUID']}"
    series = f"{study}/series/{instance['SeriesInstanceUID']}"
    image = f"{series}/instances/{instance['SOPInstanceUID']}"
    for path in (
        "/dicom-web/studies?limit=101&offset=0&fuzzymatching=false&includefield=00081030%2C00080060",
        "/dicom-web/studies?00100010=*A%20B*&StudyDate=20200101-20300101",
        "/dicom-web/series?limit=1",
        "/dicom-web/instances?limit=1",
        f"{study}/series?includefield=0008103E",
        f"{study}/instances",
        f"{study}/metadata",
        f"{series}/metadata",
        f"{image}/metadata",
        f"{image}/frames/1",
        f"{image}/bulk/7fe00010",
        f"{image}/rendered",
        f"{image}",
    ):
        assert asked(address, "GET", path)[0] == 200, path
    assert (
        asked(address, "GET", "/dicom-web/studies?x=1", headers={"Accept": "image/jpeg"})[0] != 404
    )
    status, metadata = asked(
        address, "GET", f"{image}/metadata", headers={"Host": "localhost:1234"}
    )
    assert status == 200 and b'"http://localhost:1234/dicom-web/studies/' in metadata
    assert asked(address, "HEAD", "/viewer")[0] == 200
    assert asked(address, "GET", "/viewer?StudyInstanceUIDs=1.2&my_own=1") == (200, b"viewer")


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("PUT", "/dicom-web/servers/evil"),
        ("POST", "/dicom-web/servers/mammoseg/stow"),
        ("POST", "/dicom-web/servers/mammoseg/get"),
        ("DELETE", "/dicom-web/servers/mammoseg"),
        ("GET", "/dicom-web/servers?expand"),
        ("GET", "/dicom-web/servers/mammoseg"),
        ("POST", "/dicom-web/studies"),
        ("DELETE", "/dicom-web/studies/{StudyInstanceUID}"),
        ("OPTIONS", "/dicom-web/studies"),
        ("get", "/dicom-web/studies"),
        ("GET", "/dicom-web/%73ervers"),
        ("GET", "/dicom-web//servers"),
        ("GET", "//dicom-web/servers"),
        ("GET", "/dicom-web/./servers"),
        ("GET", "/dicom-web/studies/../servers"),
        ("GET", "/dicom-web/studies/%2e%2e/servers"),
        ("GET", "/dicom-web/studies/..%2fservers"),
        ("GET", "/dicom-web/servers%00/studies"),
        ("GET", "/dicom-web/studies%0d%0aX:%20y"),
        ("GET", "/dicom-web/studies%0a"),
        ("GET", "/dicom-web/STUDIES/../Servers"),
        ("GET", "/dicom-web/SERVERS"),
        ("GET", "/dicom-web/app/libs/config.js"),
        ("GET", "/dicom-web"),
        ("GET", "/dicom-web/"),
        ("GET", "/wado?requestType=WADO"),
        ("GET", "/DICOM-WEB/servers"),
        ("GET", "/dicom-web/studies?_method=POST"),
        ("GET", "/dicom-web/studies/{StudyInstanceUID}?_method=DELETE"),
        ("GET", "/dicom-web/studies/{StudyInstanceUID}?a=1&%5fmethod=DELETE"),
        ("POST", "/"),
    ],
)
def test_nothing_else_below_it_does(
    address: str, orthanc: Orthanc, instance: dict[str, str], method: str, path: str
) -> None:
    before = kept(orthanc)
    body = EVIL if method in ("PUT", "POST") else None
    status, said = asked(address, method, path.format(**instance), body)
    assert status in (400, 403, 404, 405) and b"mammoseg" not in said
    assert kept(orthanc) == before


def test_a_path_that_leads_back_to_images_is_asked_for_as_it_was_looked_at(address: str) -> None:
    assert asked(address, "GET", "/dicom-web/servers/mammoseg/../../studies")[0] == 200
    assert asked(address, "GET", "/other//../dicom-web//studies/")[0] == 200


def test_a_header_makes_no_other_method_of_it(
    address: str, orthanc: Orthanc, instance: dict[str, str]
) -> None:
    study = f"studies/{instance['StudyInstanceUID']}"
    before = kept(orthanc)
    headers = {"X-HTTP-Method-Override": "DELETE"}
    direct, _ = asked(orthanc.url, "GET", "/dicom-web/servers/none", headers=headers)
    assert direct != 200
    assert asked(address, "GET", f"/dicom-web/{study}/metadata", headers=headers)[0] == 200
    assert kept(orthanc) == before


@pytest.mark.parametrize("name", ["localhost", "127.0.0.1", "LOCALHOST:3000", "192.0.2.7", "[::1]"])
def test_an_address_and_localhost_are_names_of_it(address: str, name: str) -> None:
    assert asked(address, "GET", "/dicom-web/studies", headers={"Host": name})[0] == 200


@pytest.mark.parametrize("name", ["rebind.example", "localhost.evil.example", "1.evil", "x:1"])
def test_whoever_comes_by_another_name_gets_nothing(address: str, name: str) -> None:
    for path in ("/dicom-web/studies", "/", "/viewer", "/app-config.js"):
        status, said = asked(address, "GET", path, headers={"Host": name})
        assert status == 421 and b"viewer" not in said
