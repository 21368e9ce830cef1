"""Sending one result to one destination by STOW-RS (PS3.18, 10.5), and what its answer means."""

import asyncio
import secrets
import ssl
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from types import TracebackType
from typing import Self

import httpx

from service.destination import Destination
from service.dicomweb.store_response import (
    DICOM_JSON,
    DUPLICATES,
    PROCESSING_FAILURE,
    failure_reason,
)

PIECE = 2**20
MAX_ANSWER_BYTES = 2**20

PERMANENT = frozenset((400, 406, 411, 413, 414, 415, 422, 501))
"""Answers that the same request will get again. Others may change with the server's state or with
its configuration, refused credentials too."""


class NotDelivered(Exception):
    """The destination does not have the object.

    Parameters
    ----------
    code
        Why; stable, and free of anything the server wrote.
    permanent
        The same object will not be taken later.
    reachable
        The destination answered, and for another object might answer otherwise.
    """

    def __init__(self, code: str, *, permanent: bool = False, reachable: bool = True) -> None:
        super().__init__(code)
        self.code, self.permanent, self.reachable = code, permanent, reachable


class StowClient:
    """Sends results to one destination; an asynchronous context.

    Parameters
    ----------
    destination
        Which.
    """

    def __init__(self, destination: Destination) -> None:
        self.destination = destination
        headers = {"Accept": DICOM_JSON}
        auth: httpx.BasicAuth | None = None
        if destination.token is not None:
            headers["Authorization"] = f"Bearer {destination.token.get_secret_value()}"
        if destination.username is not None and destination.password is not None:
            auth = httpx.BasicAuth(destination.username, destination.password.get_secret_value())
        verify: ssl.SSLContext | bool = destination.verify
        if destination.verify and destination.ca is not None:
            verify = ssl.create_default_context(cafile=str(destination.ca))
        self._client = httpx.AsyncClient(
            headers=headers, auth=auth, verify=verify, timeout=destination.timeout_s
        )

    async def __aenter__(self) -> Self:
        await self._client.__aenter__()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self._client.__aexit__(kind, error, trace)

    async def store(
        self, file: Path, sop_instance_uid: str, more: Mapping[str, str] | None = None
    ) -> None:
        """Send a file; on return the destination has said that it has it.

        Parameters
        ----------
        file
            A DICOM file.
        sop_instance_uid
            Its own.
        more
            Further headers, which carry a trace on.

        Raises
        ------
        NotDelivered
            It has not, or the answer got lost.
        OSError
            The file cannot be read.
        """
        boundary = secrets.token_hex(24)
        head = f"--{boundary}\r\nContent-Type: application/dicom\r\n\r\n".encode("ascii")
        tail = f"\r\n--{boundary}--\r\n".encode("ascii")
        # The inbox lies on a local disk: asking for a size waits for nobody.
        length = len(head) + file.stat().st_size + len(tail)  # noqa: ASYNC240
        headers = {
            **(more or {}),
            "Content-Type": f'multipart/related; type="application/dicom"; boundary="{boundary}"',
            # Some servers do not take a body of unstated length.
            "Content-Length": str(length),
        }
        try:
            async with self._client.stream(
                "POST",
                self.destination.studies_url,
                content=_pieces(head, file, tail),
                headers=headers,
            ) as answer:
                body = await _bounded(answer)
        except httpx.TimeoutException:
            raise NotDelivered("timeout", reachable=False) from None
        except (httpx.HTTPError, ssl.SSLError):
            raise NotDelivered("unreachable", reachable=False) from None
        judge(answer.status_code, body, sop_instance_uid)


def judge(status: int, body: bytes, sop_instance_uid: str) -> None:
    """Decide from an answer whether the destination has the object.

    Raises
    ------
    NotDelivered
        It has not.
    """
    reason = failure_reason(body, sop_instance_uid) if status in (200, 202, 409) else None
    if reason in DUPLICATES:
        return
    if reason is not None:
        # A7xx: out of resources.
        passing = reason >> 8 == 0xA7 or reason == PROCESSING_FAILURE
        raise NotDelivered(f"failure-{reason:04x}", permanent=not passing)
    if status in (200, 202):
        return
    busy = status in (429, 502, 503, 504)
    raise NotDelivered(f"http-{status}", permanent=status in PERMANENT, reachable=not busy)


async def _pieces(head: bytes, file: Path, tail: bytes) -> AsyncIterator[bytes]:
    yield head
    with file.open("rb") as source:
        while piece := await asyncio.to_thread(source.read, PIECE):
            yield piece
    yield tail


async def _bounded(answer: httpx.Response) -> bytes:
    body = bytearray()
    async for piece in answer.aiter_bytes():
        body += piece
        if len(body) > MAX_ANSWER_BYTES:
            break
    return bytes(body[:MAX_ANSWER_BYTES])
