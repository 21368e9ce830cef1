"""DICOMweb servers, which take results by STOW-RS (PS3.18, 10.5)."""

import asyncio
import secrets
import ssl
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import ClassVar, Self

import httpx
from pydantic import Field, SecretStr, field_validator, model_validator

from service.destinations.destination import ClientOptions, Destination
from service.dicomweb.store_response import DICOM_JSON
from service.dicomweb.stow_answer import judge
from service.dimse.store_status import NotDelivered
from service.header_text import RULE, is_bearer
from service.tls_files import TlsContext, client_context, code_of

PIECE = 2**20
MAX_ANSWER_BYTES = 2**20


class StowDestination(Destination):
    """A DICOMweb server.

    Attributes
    ----------
    url
        Root of its DICOMweb services; results go to `<url>/studies`.
    token
        Bearer token (RFC 6750).
    username, password
        Basic authentication (RFC 7617).
    """

    schemes: ClassVar[tuple[str, ...]] = ("http", "https")
    secure_schemes: ClassVar[tuple[str, ...]] = ("https",)

    url: str = Field(pattern=r"^https?://[^\s/?#]+(/[^\s?#]*)?$")
    token: SecretStr | None = None
    username: str | None = None
    password: SecretStr | None = None

    @field_validator("token")
    @classmethod
    def _token_goes_into_a_header(cls, value: SecretStr | None) -> SecretStr | None:
        if value is not None and not is_bearer(value.get_secret_value()):
            raise ValueError(RULE)
        return value

    @model_validator(mode="after")
    def _credentials_apart(self) -> Self:
        if "@" in self.address.netloc:
            raise ValueError("credentials belong in username and password, not in the url")
        if self.token is not None and self.username is not None:
            raise ValueError("either a token or a username")
        if (self.username is None) != (self.password is None):
            raise ValueError("username and password go together")
        return self

    @property
    def studies_url(self) -> str:
        """Where STOW-RS requests go."""
        return f"{self.url.rstrip('/')}/studies"

    def client(self, options: ClientOptions) -> "StowClient":
        """Return a client of it; see `Destination.client`."""
        return StowClient(self)


class StowClient:
    """Sends results to one DICOMweb server; see `Client`.

    Parameters
    ----------
    destination
        Which.
    """

    def __init__(self, destination: StowDestination) -> None:
        self.destination = destination
        self._tls = TlsContext(
            f"destination {destination.name}",
            destination.tls_files.paths,
            lambda: client_context(
                destination.tls_files,
                verify=destination.verify,
                verify_host=destination.verify_host,
            ),
        )
        self._context = self._tls.current()
        self._client = self._new_client()

    def _new_client(self) -> httpx.AsyncClient:
        destination = self.destination
        headers = {"Accept": DICOM_JSON}
        auth: httpx.BasicAuth | None = None
        if destination.token is not None:
            headers["Authorization"] = f"Bearer {destination.token.get_secret_value()}"
        if destination.username is not None and destination.password is not None:
            auth = httpx.BasicAuth(destination.username, destination.password.get_secret_value())
        return httpx.AsyncClient(
            headers=headers, auth=auth, verify=self._context, timeout=destination.timeout_s
        )

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._client.aclose()

    async def rest(self) -> None:
        """Do nothing: connections close by themselves."""

    async def store(self, file: Path, more: Mapping[str, str] | None = None) -> int | None:
        """Send a file; see `Client.store`."""
        await self._follow_tls_files()
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
        except (httpx.HTTPError, ssl.SSLError) as error:
            raise NotDelivered(_connection_code(error), reachable=False) from None
        return judge(answer.status_code, body)

    async def _follow_tls_files(self) -> None:
        context = self._tls.current()
        if context is not self._context:
            self._context = context
            await self._client.aclose()
            self._client = self._new_client()


def _connection_code(error: BaseException) -> str:
    """Say that TLS is at fault where it is; httpx has its error among the causes of its own."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, ssl.SSLError):
            return code_of(cause)
        cause = cause.__cause__ or cause.__context__
    return "unreachable"


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
