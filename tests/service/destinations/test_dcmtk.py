"""Results to dcmtk's storescp: as it takes them, and as it refuses them."""

import asyncio
from pathlib import Path
from typing import Any

import pytest
from pydicom import dcmread

from service.destinations.destination import ClientOptions
from service.destinations.store import DicomDestination
from service.dimse.store_status import NotDelivered
from service.outputs.dicom.registry import OUTPUTS, syntaxes_of
from tests.dcmtk import storescp

pytestmark = pytest.mark.integration

IMPLICIT = "1.2.840.10008.1.2"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "archive"
    folder.mkdir()
    return folder


def send(results: dict[str, bytes], port: int, folder: Path, **more: Any) -> None:
    async def all_of_them() -> None:
        url = f"dicom://ARCHIVE@127.0.0.1:{port}"
        destination = DicomDestination.model_validate({"url": url, "timeout_s": 20} | more)
        options = ClientOptions("MAMMOSEG", syntaxes_of(OUTPUTS), lambda report: None)
        async with destination.client(options) as client:
            for kind, content in results.items():
                file = folder.parent / f"{kind}.dcm"
                file.write_bytes(content)
                await client.store(file)

    asyncio.run(all_of_them())


def arrived(folder: Path) -> list[Path]:
    return [path for path in folder.iterdir() if path.suffix != ".log"]


def syntaxes(folder: Path) -> set[str]:
    """Return the syntaxes of what arrived; every image in it can be read."""
    found = set()
    for path in arrived(folder):
        dataset = dcmread(path)
        found.add(str(dataset.file_meta.TransferSyntaxUID))
        if "PixelData" in dataset:
            assert dataset.pixel_array.size
    return found


def test_every_kind_arrives_as_it_was_made(results: dict[str, bytes], folder: Path) -> None:
    with storescp(folder, "+xa", "+B") as port:
        send(results, port, folder)
    ends = {path.read_bytes()[-1000:] for path in arrived(folder)}
    assert ends == {content[-1000:] for content in results.values()}


@pytest.mark.parametrize(("option", "syntax"), [("+xi", IMPLICIT), ("+xe", "1.2.840.10008.1.2.1")])
def test_every_kind_arrives_without_compression_where_only_that_is_taken(
    results: dict[str, bytes], folder: Path, option: str, syntax: str
) -> None:
    with storescp(folder, option) as port:
        send(results, port, folder)
    assert len(arrived(folder)) == len(OUTPUTS)
    assert syntaxes(folder) == {syntax}


@pytest.mark.parametrize(
    ("option", "code", "reachable"),
    [
        ("--refuse", "association-rejected", False),
        ("--abort-after", "association-aborted", True),
        ("--abort-during", "association-aborted", True),
    ],
)
def test_what_it_refuses_or_breaks_off_is_not_delivered(
    results: dict[str, bytes], folder: Path, option: str, code: str, reachable: bool
) -> None:
    with storescp(folder, option) as port, pytest.raises(NotDelivered) as refused:
        send({"seg": results["seg"]}, port, folder)
    error = refused.value
    assert (error.code, error.permanent, error.reachable) == (code, False, reachable)


def test_one_that_sleeps_over_an_object_is_not_waited_for(
    results: dict[str, bytes], folder: Path
) -> None:
    with storescp(folder, "--sleep-during", "3") as port, pytest.raises(NotDelivered) as refused:
        send({"seg": results["seg"]}, port, folder, timeout_s=1)
    assert (refused.value.code, refused.value.reachable) == ("timeout", False)
