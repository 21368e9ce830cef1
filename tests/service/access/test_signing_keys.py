"""Keys of a provider: fetched, rotated, withdrawn, out of reach, or of no use."""

import asyncio
import json
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from jwt.algorithms import RSAAlgorithm

from service.access.caller import Caller
from service.access.secure_url import is_secure
from service.access.signing_keys import FRESH_S, MAX_SIGNING_KEYS, REFETCH_S, STALE_S, signing_keys
from service.errors import Overloaded, Unauthenticated
from tests.openid_providers import LocalProvider, Provider, claims_of
from tests.service.access.tokens import Clock, Tried, tried

pytestmark = pytest.mark.integration


def test_a_key_that_is_rotated_in_counts_at_once_and_one_rotated_out_soon_no_more(
    provider: Provider, clock: Clock
) -> None:
    async def run() -> None:
        access = Tried(provider.issuer, clock)
        old = provider.token()
        assert isinstance(await access.one(old), Caller)
        clock.now += REFETCH_S
        provider.rotate()
        new = provider.token()
        assert isinstance(await access.one(new), Caller)
        assert await access.one(old) is Unauthenticated
        await access.access.close()

    asyncio.run(run())


def test_a_withdrawn_key_counts_no_more_after_five_minutes_without_any_new_one(
    local: LocalProvider, clock: Clock
) -> None:
    async def run() -> None:
        access = Tried(local.issuer, clock)
        token = local.token()
        assert isinstance(await access.one(token), Caller)
        local.documents["/jwks"] = {"keys": []}
        clock.now += FRESH_S
        # This one is answered with what is known, while the keys are fetched.
        await access.one(token)
        await asyncio.sleep(0.5)
        assert await access.one(token) is Unauthenticated
        await access.access.close()

    asyncio.run(run())


def test_tokens_of_unknown_keys_fetch_the_keys_seldom(local: LocalProvider, clock: Clock) -> None:
    async def run() -> None:
        access = Tried(local.issuer, clock)
        for number in range(50):
            assert await access.one(local.token({"kid": f"unknown{number}"})) is Unauthenticated
        assert local.asked.count("/jwks") == 1
        clock.now += REFETCH_S
        await asyncio.gather(
            *(access.one(local.token({"kid": f"other{number}"})) for number in range(50))
        )
        assert local.asked.count("/jwks") == 2
        await access.access.close()

    asyncio.run(run())


def test_a_provider_that_is_away_costs_nobody_who_was_known(
    local: LocalProvider, clock: Clock
) -> None:
    async def run() -> None:
        access = Tried(local.issuer, clock)
        token = local.token()
        good = dict(local.documents)
        local.documents.clear()
        assert await access.one(token) is Overloaded
        local.documents.update(good)
        # Not at once: it is asked again at most every thirty seconds.
        assert await access.one(token) is Overloaded
        clock.now += REFETCH_S
        assert isinstance(await access.one(token), Caller)
        local.documents.clear()
        clock.now += STALE_S - 1
        assert isinstance(await access.one(token), Caller)
        await asyncio.sleep(0.3)
        clock.now += REFETCH_S
        assert await access.one(token) is Overloaded
        await access.access.close()

    asyncio.run(run())


DOCUMENTS: dict[str, Any] = {
    "another issuer": {"issuer": "https://id.example", "jwks_uri": "{issuer}/jwks"},
    "no keys": {"issuer": "{issuer}"},
    "keys from elsewhere in the clear": {"issuer": "{issuer}", "jwks_uri": "http://192.0.2.1/jwks"},
    "keys from a file": {"issuer": "{issuer}", "jwks_uri": "file:///etc/passwd"},
    "a list": [],
    "no JSON": b"<html>",
    "endless": b" " * 2**20,
}


@pytest.mark.parametrize("document", DOCUMENTS.values(), ids=DOCUMENTS.keys())
def test_a_discovery_document_that_is_none_gives_no_keys(
    local: LocalProvider, clock: Clock, document: Any
) -> None:
    text = document if isinstance(document, bytes) else json.dumps(document).encode()
    text = text.replace(b"{issuer}", local.issuer.encode())
    local.documents["/.well-known/openid-configuration"] = text
    assert tried(local.issuer, clock, local.token()) == [Overloaded]


def test_keys_of_a_set_that_cannot_sign_are_passed_over(local: LocalProvider) -> None:
    private = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    public = RSAAlgorithm.to_jwk(private.public_key(), as_dict=True)
    useless: list[Any] = [
        None,
        {},
        {"kty": "oct", "k": "AAAA", "alg": "HS256"},
        {"kty": "oct", "k": "AAAA", "crv": "P-256"},
        public | {"use": "enc"},
        public | {"alg": "RSA-OAEP"},
        public | {"alg": ["RS256"]},
        public | {"n": "!"},
        RSAAlgorithm.to_jwk(private, as_dict=True),
        local.public(crv="P-384", alg="ES384"),
        local.public(crv=["P-256"]),
        local.public(x=7),
    ]
    assert signing_keys(useless) == ()
    (one,) = signing_keys([public])
    assert one.algorithms == {"RS256", "RS384", "RS512", "PS256", "PS384", "PS512"}
    assert signing_keys([public | {"alg": "RS256"}])[0].algorithms == {"RS256"}
    assert len(signing_keys([local.public()] * 1000)) == MAX_SIGNING_KEYS


@pytest.mark.filterwarnings("ignore::jwt.warnings.InsecureKeyLengthWarning")
def test_a_key_that_is_too_short_signs_nothing(local: LocalProvider, clock: Clock) -> None:
    private = rsa.generate_private_key(public_exponent=65537, key_size=1024)
    public = RSAAlgorithm.to_jwk(private.public_key(), as_dict=True)
    local.documents["/jwks"] = {"keys": [public | {"kid": "short"}]}
    token = jwt.encode(claims_of(local.issuer), private, "RS256", {"kid": "short"})
    assert tried(local.issuer, clock, token) == [Unauthenticated]


@pytest.mark.parametrize(
    ("url", "secure"),
    [
        ("https://id.example/realms/a", True),
        ("http://127.0.0.1:8080", True),
        ("http://[::1]:8080", True),
        ("http://id.example", False),
        ("http://127.0.0.1.id.example", False),
        ("ftp://localhost", False),
        ("https://", False),
        ("id.example", False),
    ],
)
def test_a_provider_is_asked_over_tls_or_on_this_machine(url: str, secure: bool) -> None:
    assert is_secure(url) is secure
