"""A DICOMweb server: the source of a study's mammograms, the destination of their results."""

import json
import re
import time
import weakref
from collections.abc import Iterable, Iterator, Mapping, Sequence
from io import BytesIO
from typing import Any, NamedTuple

import httpx
import pydicom
import structlog

from service.backoff import doubled_s
from service.dicomweb.multipart import media_type_and_boundary, related
from service.dicomweb.store_response import DICOM_JSON
from service.dicomweb.stow_answer import judge
from service.imaging.elements import is_uid
from service.store_status import NotDelivered

log = structlog.get_logger("mammoseg")

SERIES_UID, INSTANCE_UID, MODALITY = "0020000E", "00080018", "00080060"
TIMEOUT_S = 60.0
ATTEMPTS = 3
BUSY = frozenset((408, 429, 502, 503, 504))
"""Answers that speak of the moment; asked again after a short while, at most `ATTEMPTS` times."""
FIRST_PAUSE_S, MAX_PAUSE_S = 0.5, 10.0

PAGE = 500
"""Results asked for at once; a server may give fewer."""
MAX_RESULTS = 100_000
"""Of one search. A study has a few hundred instances."""
MAX_ANSWER_BYTES = 2**26
MAX_INSTANCE_BYTES = 2**30

_MORE = re.compile("additional results", re.IGNORECASE)
"""What a Warning 299 says where a search has more than was given (PS3.18 8.3.4.4)."""
_UNPRINTABLE = re.compile("[^0-9A-Za-z._-]")


class ServerFailed(OSError):
    """The server did not do what was asked.

    Parameters
    ----------
    code
        Why; stable, and free of anything the server wrote.
    """

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


class InstanceReference(NamedTuple):
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
    """

    def __init__(
        self, url: str, study_uid: str, credentials: tuple[str, str] | None = None
    ) -> None:
        auth = httpx.BasicAuth(*credentials) if credentials else None
        self._client = httpx.Client(auth=auth, timeout=TIMEOUT_S, follow_redirects=True)
        # Connections are kept for as long as anybody holds this object.
        weakref.finalize(self, self._client.close)
        self._study_url = f"{url.rstrip('/')}/studies/{study_uid}"

    def mammograms(self, modalities: Iterable[str]) -> Iterator[InstanceReference]:
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
            series = _Search(self, f"{self._study_url}/series", SERIES_UID, {"Modality": modality})
            for found in series.results():
                uid = _value(found, SERIES_UID)
                # Some servers do not filter.
                if uid in known or _value(found, MODALITY) not in ("", modality):
                    continue
                known.add(uid)
                if not is_uid(uid):
                    yield InstanceReference(uid, uid)
                    continue
                search = _Search(self, f"{self._study_url}/series/{uid}/instances", INSTANCE_UID)
                for instance in search.results():
                    yield InstanceReference(uid, _value(instance, INSTANCE_UID))
                incomplete |= search.incomplete
            incomplete |= series.incomplete
        if incomplete:
            raise ServerFailed("search-incomplete")

    def retrieve(self, reference: InstanceReference) -> bytes:
        """Retrieve an instance (PS3.18 10.4) in the transfer syntax that it is stored in.

        The file is the server's, byte by byte. A reference that is not valid is not asked for.
        """
        if not reference.is_valid:
            raise ServerFailed("uid-invalid")
        url = f"{self._study_url}/series/{reference.series_uid}/instances/{reference.instance_uid}"
        accept = 'multipart/related; type="application/dicom"; transfer-syntax=*'
        answer, body = self.ask("GET", url, MAX_INSTANCE_BYTES, headers={"Accept": accept})
        if answer.status_code != 200:
            raise ServerFailed(f"http-{answer.status_code}")
        media_type, boundary = media_type_and_boundary(answer.headers.get("Content-Type", ""))
        if media_type != "multipart/related" or not boundary:
            # Some servers send the file alone, with or without saying so.
            return body
        return only_part(body, boundary)

    def store(self, files: Sequence[bytes]) -> int:
        """Store files into the study (PS3.18 10.5); return how many the server did not take.

        What it has already counts as stored.
        """
        return sum(not self._stores(file) for file in files)

    def _stores(self, file: bytes) -> bool:
        uid = str(pydicom.dcmread(BytesIO(file), stop_before_pixels=True).SOPInstanceUID)
        body, content_type = related([file], "application/dicom")
        headers = {"Content-Type": content_type, "Accept": DICOM_JSON}
        answer, said = self.ask(
            "POST", self._study_url, MAX_ANSWER_BYTES, content=body, headers=headers
        )
        try:
            judge(answer.status_code, said, uid)
        except NotDelivered as refusal:
            log.warning("pull-not-stored", code=refusal.code)
            return False
        return True

    def ask(self, method: str, url: str, most: int, **options: Any) -> tuple[httpx.Response, bytes]:
        """Send a request, and again while the server is busy; return its answer and the body.

        Raises
        ------
        ServerFailed
            It does not answer, or with more than `most` bytes.
        """
        for attempt in range(1, ATTEMPTS + 1):
            try:
                with self._client.stream(method, url, **options) as answer:
                    body = _bounded(answer, most)
            except (httpx.HTTPError, httpx.InvalidURL) as error:
                if attempt == ATTEMPTS or not isinstance(error, httpx.TransportError):
                    raise ServerFailed("unreachable") from None
            else:
                if attempt == ATTEMPTS or answer.status_code not in BUSY:
                    return answer, body
            time.sleep(doubled_s(FIRST_PAUSE_S, attempt, MAX_PAUSE_S))
        raise AssertionError("the loop returns")


class _Search:
    """All pages of one search (PS3.18 8.3.4.4).

    A server may give fewer results than there are, whether it says so or not, and may not know of
    `offset`: pages are asked for until one has nothing new.
    """

    def __init__(
        self, archive: Archive, url: str, key: str, filters: Mapping[str, str] | None = None
    ) -> None:
        self._archive, self._url, self._key = archive, url, key
        self._filters = dict(filters or {})
        self.incomplete = False

    def results(self) -> Iterator[Mapping[str, Any]]:
        """Return each result once."""
        seen: set[str] = set()
        offset = 0
        more = False
        while offset < MAX_RESULTS:
            page, says_more = self._page(offset, more)
            new = [found for found in page if _value(found, self._key) not in seen]
            for found in new:
                uid = _value(found, self._key)
                if uid not in seen:
                    seen.add(uid)
                    yield found
            if not new:
                # The last page said that there is more, or this one is the first over again.
                self.incomplete = bool(page) and says_more
                return
            offset, more = offset + len(page), says_more
        raise ServerFailed("search-endless")

    def _page(self, offset: int, more: bool) -> tuple[list[Mapping[str, Any]], bool]:
        parameters = {**self._filters, "limit": str(PAGE), "offset": str(offset)}
        answer, body = self._archive.ask(
            "GET",
            self._url,
            MAX_ANSWER_BYTES,
            params=parameters,
            headers={"Accept": f"{DICOM_JSON}, application/json"},
        )
        if answer.status_code == 204 or (answer.status_code == 404 and offset and not more):
            return [], False
        if answer.status_code not in (200, 206):
            raise ServerFailed(f"http-{answer.status_code}")
        warnings = answer.headers.get_list("Warning")
        says_more = any(warning.startswith("299") and _MORE.search(warning) for warning in warnings)
        return _listed(body), says_more


def only_part(body: bytes, boundary: bytes) -> bytes:
    """Return the one part of a multipart body (RFC 2046 5.1.1), whatever stands before and after.

    Raises
    ------
    ServerFailed
        There is none, or are several.
    """
    delimiter = re.escape(b"--" + boundary)
    opening = re.search(rb"(?:\A|\r?\n)" + delimiter + rb"[ \t]*\r?\n", body)
    if opening is None:
        raise ServerFailed("answer-broken")
    heads_end = re.compile(rb"\r?\n\r?\n").search(body, opening.end() - 2)
    if heads_end is None:
        raise ServerFailed("answer-broken")
    ends = re.compile(rb"\r\n" + delimiter + rb"(--)?").search(body, heads_end.end() - 2)
    if ends is None:
        raise ServerFailed("answer-broken")
    if ends[1] is None:
        raise ServerFailed("answer-of-several")
    return body[heads_end.end() : ends.start()]


def _bounded(answer: httpx.Response, most: int) -> bytes:
    body = bytearray()
    for piece in answer.iter_bytes():
        body += piece
        if len(body) > most:
            raise ServerFailed("answer-too-large")
    return bytes(body)


def _listed(body: bytes) -> list[Mapping[str, Any]]:
    if not body:
        return []
    try:
        told = json.loads(body)
    except (ValueError, RecursionError):
        raise ServerFailed("answer-broken") from None
    # One result may come without a list around it.
    results = told if isinstance(told, list) else [told]
    return [result if isinstance(result, dict) else {} for result in results]


def _value(found: Mapping[str, Any], tag: str) -> str:
    """Return the first value of an element in DICOM JSON (PS3.18 F.2); "" where there is none."""
    element = found.get(tag)
    values = element.get("Value") if isinstance(element, dict) else None
    value = values[0] if isinstance(values, list) and values else ""
    return value.strip(" \0") if isinstance(value, str) else ""
