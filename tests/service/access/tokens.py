"""Access tokens tried one after another, by a clock that a test sets."""

import asyncio
from typing import Any

from service.access.access import AccessControl
from service.access.caller import Caller
from service.access.options import AccessOptions, OidcOptions
from service.errors import MammosegError
from tests.openid_providers import AUDIENCE


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


class Tried:
    """What became of several tokens, tried one after another on one event loop."""

    def __init__(self, issuer: str, clock: Clock, **options: Any) -> None:
        oidc = OidcOptions(issuer, AUDIENCE, **options)
        self.access = AccessControl(AccessOptions("::", oidc=oidc), clock)

    async def one(self, token: str, path: str = "/v1/model") -> Caller | type[MammosegError] | None:
        try:
            fields = [(b"authorization", f"Bearer {token}".encode())]
            return await self.access.admit(path, fields, "192.0.2.1")
        except MammosegError as error:
            return type(error)


def tried(
    issuer: str, clock: Clock, *tokens: str, path: str = "/v1/model", **options: Any
) -> list[Any]:
    async def run() -> list[Any]:
        access = Tried(issuer, clock, **options)
        try:
            return [await access.one(token, path) for token in tokens]
        finally:
            await access.access.close()

    return asyncio.run(run())
