"""The keys that an OpenID provider signs with: found, fetched, kept, fetched again."""

import asyncio
import json
import ssl
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import jwt
import structlog

from service.access.secure_url import is_secure
from service.errors import Overloaded

log = structlog.get_logger("mammoseg")

FRESH_S = 300.0
"""Seconds for which fetched keys are good; then they are fetched again, and good meanwhile."""

STALE_S = 3600.0
"""Seconds after which keys that could not be fetched again count no more."""

REFETCH_S = 30.0
"""Least seconds between two fetches, whatever keys tokens name: anybody may write a token."""

TIMEOUT_S = 10.0
MAX_DOCUMENT_BYTES = 256 * 1024
MAX_SIGNING_KEYS = 64
MAX_KEYS_TRIED = 4
"""For a token that does not name its key."""

DISCOVERY = "/.well-known/openid-configuration"

_RSA = frozenset({"RS256", "RS384", "RS512", "PS256", "PS384", "PS512"})
_BY_CURVE = {"P-256": "ES256", "P-384": "ES384", "P-521": "ES512", "Ed25519": "EdDSA"}
ALGORITHMS = _RSA | frozenset(_BY_CURVE.values())
"""All that are believed (RFC 7518, 3.1; RFC 8037): asymmetric ones only, so that nobody who can
read a public key can sign with it."""


@dataclass(frozen=True, slots=True)
class SigningKey:
    """A public key of the provider, and the algorithms that it may have signed with."""

    kid: str | None
    key: jwt.PyJWK
    algorithms: frozenset[str]


class SigningKeys:
    """The provider's keys.

    Parameters
    ----------
    issuer
        Its URL.
    ca
        PEM file of the authorities to check its certificate against; the system's where None.
    clock
        Seconds, monotonic.
    """

    def __init__(
        self, issuer: str, ca: Path | None = None, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._issuer, self._ca, self._clock = issuer, ca, clock
        self._keys: tuple[SigningKey, ...] = ()
        self._fetched_at = self._tried_at = -float("inf")
        self._fetch: asyncio.Task[None] | None = None

    async def matching(self, kid: str | None, algorithm: str) -> tuple[SigningKey, ...]:
        """Return the keys that a token may be signed with; none where the provider has none such.

        Parameters
        ----------
        kid
            What the token calls its key; None where it does not.
        algorithm
            That it says it is signed with.

        Raises
        ------
        Overloaded
            The provider's keys are not known, since it does not answer.
        """
        found = self._find(kid, algorithm)
        age_s = self._clock() - self._fetched_at
        if found and age_s < FRESH_S:
            return found
        fetch = self.fetch()
        if found and age_s < STALE_S:
            return found
        if fetch is not None:
            await asyncio.shield(fetch)
        if self._clock() - self._fetched_at >= STALE_S:
            raise Overloaded(
                "identity-provider", "Whoever issued the token does not answer.", REFETCH_S
            )
        return self._find(kid, algorithm)

    def fetch(self) -> asyncio.Task[None] | None:
        """Begin to fetch the keys; return the task, or None where it is too early for another."""
        if self._fetch is not None and not self._fetch.done():
            return self._fetch
        now = self._clock()
        if now - self._tried_at < REFETCH_S:
            return None
        self._tried_at = now
        self._fetch = asyncio.get_running_loop().create_task(self._fetch_logged())
        return self._fetch

    async def close(self) -> None:
        """End a fetch that is under way."""
        if self._fetch is not None:
            self._fetch.cancel()
            await asyncio.wait([self._fetch])

    def _find(self, kid: str | None, algorithm: str) -> tuple[SigningKey, ...]:
        fit = (
            key
            for key in self._keys
            if algorithm in key.algorithms and (kid is None or key.kid == kid)
        )
        return tuple(fit)[:MAX_KEYS_TRIED]

    async def _fetch_logged(self) -> None:
        try:
            async with asyncio.timeout(TIMEOUT_S):
                self._keys = await self._fetched()
        except Exception as error:
            log.error("oidc-fetch-failed", error=type(error).__name__)
        else:
            self._fetched_at = self._clock()
            log.info("oidc-keys-fetched", keys=len(self._keys))

    async def _fetched(self) -> tuple[SigningKey, ...]:
        # Reading the system's authorities takes 60 ms of processor time.
        context = await asyncio.to_thread(ssl.create_default_context, cafile=self._ca)
        async with httpx.AsyncClient(verify=context, timeout=TIMEOUT_S) as client:
            about = await _json(client, self._issuer.rstrip("/") + DISCOVERY)
            if about.get("issuer") != self._issuer:
                raise ValueError("the document is another issuer's")
            document = await _json(client, _secure(about.get("jwks_uri"), self._issuer))
        entries = document.get("keys")
        if not isinstance(entries, list):
            raise ValueError("no list of keys")
        return signing_keys(entries)


def signing_keys(entries: list[Any]) -> tuple[SigningKey, ...]:
    """Return the keys of a JWK set (RFC 7517, 5) that may sign; others in it are passed over."""
    keys = (_signing_key(entry) for entry in entries[:MAX_SIGNING_KEYS] if isinstance(entry, dict))
    return tuple(key for key in keys if key is not None)


def _signing_key(entry: dict[str, Any]) -> SigningKey | None:
    fit = _RSA if entry.get("kty") == "RSA" else {_BY_CURVE.get(str(entry.get("crv")))}
    algorithms = {name for name in ALGORITHMS & fit if entry.get("alg", name) == name}
    # A private key that is published signs for anybody.
    if not algorithms or entry.get("use", "sig") != "sig" or "d" in entry:
        return None
    try:
        key = jwt.PyJWK(entry, min(algorithms))
    except Exception:
        return None
    kid = entry.get("kid")
    return SigningKey(kid if isinstance(kid, str) else None, key, frozenset(algorithms))


async def _json(client: httpx.AsyncClient, url: str) -> dict[str, Any]:
    """Fetch a JSON object of bounded size; redirections are not followed."""
    body = bytearray()
    async with client.stream("GET", url, headers={"Accept": "application/json"}) as answer:
        answer.raise_for_status()
        if answer.is_redirect:
            raise ValueError("a redirection")
        async for piece in answer.aiter_bytes():
            body += piece
            if len(body) > MAX_DOCUMENT_BYTES:
                raise ValueError("too long")
    document = json.loads(body)
    if not isinstance(document, dict):
        raise ValueError("no JSON object")
    return document


def _secure(url: object, issuer: str) -> str:
    """Check that keys come over TLS, or from this machine where the issuer is on it."""
    if not isinstance(url, str):
        raise ValueError("no jwks_uri")
    if is_secure(url) and (url.startswith("https:") or is_secure(issuer)):
        return url
    raise ValueError("jwks_uri is not https")
