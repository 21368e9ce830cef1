import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from service.batch.archive.items import FileItem, InstanceItem, Query
from service.batch.archive.listing import list_files, list_instances, query_of
from service.dicomweb.archive import InstanceUids
from service.dicomweb.search import ServerFailed
from tests.dicom_files import dicom_file

pytestmark = pytest.mark.unit

QUERY = Query("https://pacs/dicom-web")


@pytest.mark.parametrize(
    ("source", "query"),
    [
        ("/mnt/archive", None),
        ("http:/odd/folder", None),
        ("https://pacs/dicom-web", QUERY),
        ("https://pacs/dicom-web/", QUERY),
        ("https://pacs/dicom-web/studies", QUERY),
        (
            "https://pacs/dicom-web/studies?StudyDate=20200101-&ModalitiesInStudy=MG",
            Query(QUERY.root, (("StudyDate", "20200101-"), ("ModalitiesInStudy", "MG"))),
        ),
    ],
)
def test_a_url_is_a_query_and_all_else_a_path(source: str, query: Query | None) -> None:
    assert query_of(source, None) == query


@pytest.mark.parametrize(
    "source",
    [
        "https://name:word@pacs/dicom-web",  # pragma: allowlist secret
        "https://pacs/studies?limit=5",
        "https://pacs/studies?StudyDate=1&StudyDate=2",
        "https://pacs:port/dicom-web",
        "https:///dicom-web",
    ],
)
def test_a_url_that_cannot_be_asked_is_said(source: str) -> None:
    with pytest.raises(ValueError, match=r"\w"):
        query_of(source, None)


def test_credentials_are_never_shown() -> None:
    assert "word" not in repr(query_of("https://pacs", ("name", "word")))


def test_results_in_the_archive_and_links_that_lead_back_up_are_not_looked_into(
    tmp_path: Path,
) -> None:
    archive, out = tmp_path / "archive", tmp_path / "archive" / "results"
    out.mkdir(parents=True)
    (archive / "a.dcm").write_bytes(dicom_file())
    (archive / "notes.txt").write_text("no image")
    (out / "b.dcm").write_bytes(dicom_file())
    (archive / "loop").symlink_to(archive)
    (archive / "gone.dcm").symlink_to(archive / "nowhere")
    os.mkfifo(archive / "pipe")
    listed = list_files(str(archive), out)
    assert listed.items == [FileItem(archive / "a.dcm")]
    assert listed.others == 3
    assert list_files(str(out), out).items == []


class Studies:
    """Stands in for a server with studies, of which one cannot be searched."""

    def __init__(self, code: str) -> None:
        self.code, self.asked = code, list[str]()

    def studies(self, *_: Any) -> Iterator[str]:
        yield from ("1.1", "not a UID", "1.2", "1.1", "1.3")

    def archive(self, _: str, study_uid: str, server: Any) -> "Studies":
        self.asked.append(study_uid)
        return self

    def mammograms(self, _: Any) -> Iterator[InstanceUids]:
        study = self.asked[-1]
        yield InstanceUids(f"{study}.1", f"{study}.1.1")
        if study == "1.2":
            raise ServerFailed(self.code)


@pytest.mark.parametrize(("code", "found"), [("http-500", 3), ("unreachable", 2)])
def test_a_study_that_cannot_be_searched_is_said_and_the_rest_listed_while_there_is_a_server(
    monkeypatch: pytest.MonkeyPatch, code: str, found: int
) -> None:
    server = Studies(code)
    monkeypatch.setattr("service.batch.archive.listing.studies", server.studies)
    monkeypatch.setattr("service.batch.archive.listing.Archive", server.archive)
    listed = list_instances(QUERY, {"MG"})
    expected = ["1.1", "1.2", "1.3"][:found]
    assert listed.items == [
        InstanceItem(uid, InstanceUids(f"{uid}.1", f"{uid}.1.1")) for uid in expected
    ]
    assert any(code in fault for fault in listed.faults)
    assert any("without a valid UID" in fault for fault in listed.faults)


def test_a_server_that_cannot_be_searched_at_all_is_no_empty_archive(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def failing(*_: Any) -> Iterator[str]:
        raise ServerFailed("unreachable")
        yield

    monkeypatch.setattr("service.batch.archive.listing.studies", failing)
    with pytest.raises(ServerFailed):
        list_instances(QUERY, {"MG"})
