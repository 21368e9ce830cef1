"""Asking a DICOMweb server, and searching it (QIDO-RS, PS3.18 10.6) to the last page."""

import json
import re
import time
import weakref
from collections.abc import Iterator, Mapping
from typing import Any

import httpx

from service.backoff import doubled_s
from service.dicomweb.store_response import DICOM_JSON

TIMEOUT_S = 60.0
ATTEMPTS = 3
BUSY = frozenset((408, 429, 502, 503, 504))
"""Answers that speak of the moment; asked again after a short while, at most `ATTEMPTS` times."""
FIRST_PAUSE_S, MAX_PAUSE_S = 0.5, 10.0

PAGE = 200
"""Results asked for at once; a server may give fewer. Microsoft's refuses to be asked for more."""
PAST_END = frozenset((404, 416))
"""How servers, too, answer who asks for what would follow the last page, if that said of no more;
after one that was not full, also by 400."""
MAX_RESULTS = 100_000
"""Of one search. A study has a few hundred instances."""
MAX_ANSWER_BYTES = 2**26

_MORE = re.compile("additional results", re.IGNORECASE)
"""What a Warning 299 says where a search has more than was given (PS3.18 8.3.4.4)."""


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


class Server:
    """A DICOMweb server.

    Parameters
    ----------
    credentials
        Name and password of basic authentication, where it wants them.
    """

    def __init__(self, credentials: tuple[str, str] | None = None) -> None:
        auth = httpx.BasicAuth(*credentials) if credentials else None
        self._client = httpx.Client(auth=auth, timeout=TIMEOUT_S, follow_redirects=True)
        # Connections are kept for as long as anybody holds this object.
        weakref.finalize(self, self._client.close)

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


class Search:
    """All pages of one search (PS3.18 8.3.4.4).

    A server may give fewer results than there are, whether it says so or not, and may not know of
    `offset`: pages are asked for until one has nothing new.

    Parameters
    ----------
    server, url
        Where it is sent.
    key
        Tag of the element by which results are told apart.
    filters
        Matching keys and values.
    most
        Results that it may have, MAX_RESULTS where None.
    """

    def __init__(
        self,
        server: Server,
        url: str,
        key: str,
        filters: Mapping[str, str] | None = None,
        most: int | None = None,
    ) -> None:
        self._server, self._url, self._key = server, url, key
        self._most = most or MAX_RESULTS
        self._filters = dict(filters or {})
        self.incomplete = False

    def results(self) -> Iterator[Mapping[str, Any]]:
        """Return each result once."""
        seen: set[str] = set()
        offset = 0
        past_end: frozenset[int] = frozenset()
        while offset < self._most:
            page, says_more = self._page(offset, past_end)
            new = [found for found in page if value_of(found, self._key) not in seen]
            for found in new:
                uid = value_of(found, self._key)
                if uid not in seen:
                    seen.add(uid)
                    yield found
            if not new:
                # The last page said that there is more, or this one is the first over again.
                self.incomplete = bool(page) and says_more
                return
            offset += len(page)
            past_end = frozenset() if says_more else PAST_END
            if not says_more and len(page) < PAGE:
                past_end |= {400}
        raise ServerFailed("search-endless")

    def _page(self, offset: int, past_end: frozenset[int]) -> tuple[list[Mapping[str, Any]], bool]:
        parameters = {**self._filters, "limit": str(PAGE), "offset": str(offset)}
        answer, body = self._server.ask(
            "GET",
            self._url,
            MAX_ANSWER_BYTES,
            params=parameters,
            headers={"Accept": f"{DICOM_JSON}, application/json"},
        )
        if answer.status_code == 204 or answer.status_code in past_end:
            return [], False
        if answer.status_code not in (200, 206):
            raise ServerFailed(f"http-{answer.status_code}")
        warnings = answer.headers.get_list("Warning")
        says_more = any(warning.startswith("299") and _MORE.search(warning) for warning in warnings)
        return _listed(body), says_more


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


def value_of(found: Mapping[str, Any], tag: str) -> str:
    """Return the first value of an element in DICOM JSON (PS3.18 F.2); "" where there is none."""
    element = found.get(tag)
    values = element.get("Value") if isinstance(element, dict) else None
    # Some servers write a single value without a list around it.
    value = next(iter(values), "") if isinstance(values, list) else values
    return value.strip(" \0") if isinstance(value, str) else ""
