"""A DICOMweb server: the source of a study's mammograms, the destination of their results."""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

import structlog

from service.dicomweb.multipart import MultipartReader, media_type_and_boundary, related
from service.dicomweb.search import MAX_ANSWER_BYTES, Search, Server, value_of
from service.dicomweb.search import ServerFailed as ServerFailed
from service.dicomweb.store_response import DICOM_JSON
from service.dicomweb.stow_answer import judge
from service.dimse.store_status import NotDelivered
from service.errors import InvalidRequest, MammosegError
from service.imaging import elements
from service.imaging.dicom import parse
from service.imaging.elements import is_uid
from service.imaging.source_header import HEADER_BYTES

log = structlog.get_logger("mammoseg")

STUDY_UID, SERIES_UID, INSTANCE_UID = "0020000D", "0020000E", "00080018"
MODALITY = "00080060"
MAX_INSTANCE_BYTES = 2**30
PIECE_BYTES = 2**20
"""Of an answer, at a time."""
MAX_STUDIES = 10_000_000
"""Of one search."""

_UNPRINTABLE = re.compile("[^0-9A-Za-z._-]")


class InstanceUids(NamedTuple):
    """Where an instance of the study is found, as the server says."""

    series_uid: str
    instance_uid: str

    @property
    def is_valid(self) -> bool:
        """Whether both can be UIDs, and may stand in a URL and in the name of a file."""
        return is_uid(self.series_uid) and is_uid(self.instance_uid)

    @property
    def shown(self) -> str:
        """The instance's UID for a terminal, whatever the server wrote."""
        return _UNPRINTABLE.sub("?", self.instance_uid[:64]) or "?"


class Archive:
    """One study on a server. Every method raises ServerFailed where the server does not comply.

    Parameters
    ----------
    url
        Root of its DICOMweb services.
    study_uid
        The Study Instance UID, valid.
    credentials
        Name and password of basic authentication, where it wants them.
    server
        A connection that is there already, instead of credentials.
    """

    def __init__(
        self,
        url: str,
        study_uid: str,
        credentials: tuple[str, str] | None = None,
        server: Server | None = None,
    ) -> None:
        self._server = server or Server(credentials)
        self.study_uid = study_uid
        self.study_url = f"{url.rstrip('/')}/studies/{study_uid}"

    def mammograms(self, modalities: Iterable[str]) -> Iterator[InstanceUids]:
        """Search the study for instances of series of some modalities (PS3.18 10.6).

        References that are not valid are given, too: they cannot be retrieved, and it can be said.

        Raises
        ------
        ServerFailed
            `search-incomplete` after all that could be found, where the server says that there is
            more and does not give it.
        """
        incomplete = False
        known: set[str] = set()
        for modality in sorted(modalities):
            series = Search(
                self._server, f"{self.study_url}/series", SERIES_UID, {"Modality": modality}
            )
            for found in series.results():
                uid = value_of(found, SERIES_UID)
                # Some servers do not filter.
                if uid in known or value_of(found, MODALITY) not in ("", modality):
                    continue
                known.add(uid)
                if not is_uid(uid):
                    yield InstanceUids(uid, uid)
                    continue
                search = Search(
                    self._server, f"{self.study_url}/series/{uid}/instances", INSTANCE_UID
                )
                for instance in search.results():
                    yield InstanceUids(uid, value_of(instance, INSTANCE_UID))
                incomplete |= search.incomplete
            incomplete |= series.incomplete
        if incomplete:
            raise ServerFailed("search-incomplete")

    def retrieve(self, reference: InstanceUids, most: int | None = None) -> bytes:
        """Retrieve an instance (PS3.18 10.4) in the transfer syntax that it is stored in.

        The file is the server's, byte by byte. A reference that is not valid is not asked for, one
        of over `most` bytes, MAX_INSTANCE_BYTES where None, is not received, and one that by its
        header is another instance's or of another study is refused.
        """
        if not reference.is_valid:
            raise ServerFailed("uid-invalid")
        url = f"{self.study_url}/series/{reference.series_uid}/instances/{reference.instance_uid}"
        accept = 'multipart/related; type="application/dicom"; transfer-syntax=*'
        answer, body = self._server.ask(
            "GET", url, most or MAX_INSTANCE_BYTES, headers={"Accept": accept}
        )
        if answer.status_code != 200:
            raise ServerFailed(f"http-{answer.status_code}")
        media_type, boundary = media_type_and_boundary(answer.headers.get("Content-Type", ""))
        # Some servers send the file alone, with or without saying so.
        is_alone = media_type != "multipart/related" or not boundary
        file = body if is_alone else only_part(body, boundary)
        self._check(reference, file)
        return file

    def _check(self, reference: InstanceUids, file: bytes) -> None:
        """Refuse a file that is not what was asked for: it may be another patient's."""
        try:
            header = parse(file, HEADER_BYTES).dataset
        except MammosegError:
            # Whoever reads it says why.
            return
        asked = self.study_uid, reference.instance_uid
        if asked != (
            elements.uid(header, "StudyInstanceUID"),
            elements.uid(header, "SOPInstanceUID"),
        ):
            raise ServerFailed("another-instance")

    def store(self, files: Sequence[bytes]) -> int:
        """Store files into the study (PS3.18 10.5); return how many the server did not take.

        What it has already counts as stored.
        """
        return sum(not self._stores(file) for file in files)

    def _stores(self, file: bytes) -> bool:
        body, content_type = related([file], "application/dicom")
        headers = {"Content-Type": content_type, "Accept": DICOM_JSON}
        answer, said = self._server.ask(
            "POST", self.study_url, MAX_ANSWER_BYTES, content=body, headers=headers
        )
        try:
            judge(answer.status_code, said)
        except NotDelivered as refusal:
            log.warning("pull-not-stored", code=refusal.code)
            return False
        return True


def studies(server: Server, url: str, filters: Mapping[str, str]) -> Iterator[str]:
    """Search a server for studies (PS3.18 10.6); yield their Study Instance UIDs, valid or not.

    Parameters
    ----------
    url
        Root of its DICOMweb services.
    filters
        As the query of the URL has them: `StudyDate=20200101-20201231`.

    Raises
    ------
    ServerFailed
        `search-incomplete` after all that could be found, where the server says that there is
        more and does not give it.
    """
    search = Search(server, f"{url.rstrip('/')}/studies", STUDY_UID, filters, MAX_STUDIES)
    for found in search.results():
        yield value_of(found, STUDY_UID)
    if search.incomplete:
        raise ServerFailed("search-incomplete")


class _OnlyPart:
    """Takes the one part of an answer; a sink of `MultipartReader`."""

    def __init__(self) -> None:
        self.content = bytearray()

    def begin(self, headers: Mapping[str, str]) -> None:
        """Start it."""

    def write(self, data: memoryview) -> None:
        """Take further bytes of it."""
        self.content += data

    def end(self) -> None:
        """Finish it."""


def only_part(body: bytes, boundary: bytes) -> bytes:
    """Return the one part of a multipart body (RFC 2046 5.1.1), a DICOM file.

    Raises
    ------
    ServerFailed
        There is none, or are several.
    """
    part = _OnlyPart()
    try:
        reader = MultipartReader(boundary, part, most_parts=1)
        for start in range(0, len(body), PIECE_BYTES):
            reader.feed(body[start : start + PIECE_BYTES])
        reader.close()
    except InvalidRequest as error:
        several = error.code == "too-many-parts"
        raise ServerFailed("answer-of-several" if several else "answer-broken") from None
    # A DICOM file has an even length: the odd byte is of a line's end, where those in front are LF.
    if len(part.content) % 2 and part.content.endswith(b"\r"):
        del part.content[-1]
    return bytes(part.content)
