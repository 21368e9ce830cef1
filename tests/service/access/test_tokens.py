"""Access tokens, of a provider in this process and of oauth2-mock-server."""

import asyncio
import base64
import hmac
import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from jwt.algorithms import RSAAlgorithm

from service.access.access import AccessControl
from service.access.caller import Caller, NotInScope
from service.access.options import AccessOptions, OidcOptions
from service.access.scopes import Scope
from service.access.secure_url import is_secure
from service.access.signing_keys import (
    FRESH_S,
    MAX_SIGNING_KEYS,
    REFETCH_S,
    STALE_S,
    signing_keys,
)
from service.errors import MammosegError, Overloaded, Unauthenticated
from tests.openid_providers import (
    AUDIENCE,
    LocalProvider,
    MockServer,
    Provider,
    claims_of,
    local_provider,
    mock_server,
)

pytestmark = pytest.mark.integration

NOW = int(time.time())


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture(scope="module")
def mock() -> Iterator[MockServer]:
    with mock_server() as server:
        yield server


@pytest.fixture
def local() -> Iterator[LocalProvider]:
    with local_provider() as provider:
        yield provider


@pytest.fixture(params=["local", "mock"])
def provider(request: pytest.FixtureRequest) -> Provider:
    found: Provider = request.getfixturevalue(request.param)
    return found


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


def test_a_good_token_is_believed_for_what_it_says(provider: Provider, clock: Clock) -> None:
    good, metrics = provider.token(), provider.token(scope="metrics")
    caller, refused = tried(provider.issuer, clock, good, metrics)
    assert caller.name == "oidc:pacs" and caller.scopes == {Scope.SEGMENT}
    assert refused is NotInScope


DAY_S = 86_400
"""Tests may run many minutes after `NOW`."""

BAD: dict[str, dict[str, Any]] = {
    "expired": {"exp": NOW - 60},
    "without an end": {"exp": None},
    "not yet valid": {"nbf": NOW + DAY_S},
    "issued in the future": {"iat": NOW + DAY_S},
    "for somebody else": {"aud": "another"},
    "for nobody": {"aud": None},
    "for several, not us": {"aud": ["a", "b"]},
    "for something longer": {"aud": "mammoseg-2"},
    "of another issuer": {"iss": "https://id.example"},
    "of nobody": {"iss": None},
    "without a subject": {"sub": None},
    "with a subject that is none": {"sub": 7},
    "with an end that is none": {"exp": "soon"},
}


@pytest.mark.parametrize("claims", BAD.values(), ids=BAD.keys())
def test_a_token_that_is_not_for_us_or_not_for_now_is_refused(
    provider: Provider, clock: Clock, claims: dict[str, Any]
) -> None:
    assert tried(provider.issuer, clock, provider.token(**claims)) == [Unauthenticated]


def forged(header: dict[str, Any], claims: dict[str, Any], signature: bytes = b"") -> str:
    parts = (json.dumps(header).encode(), json.dumps(claims).encode(), signature)
    return ".".join(base64.urlsafe_b64encode(part).rstrip(b"=").decode() for part in parts)


def signed_by_hand(header: dict[str, Any], claims: dict[str, Any], key: str) -> str:
    """Sign with the text of a public key as if it were a secret, which PyJWT refuses to do."""
    unsigned = forged(header, claims).rsplit(".", 1)[0]
    digest = hmac.digest(key.encode(), unsigned.encode(), "sha256")
    return f"{unsigned}.{base64.urlsafe_b64encode(digest).rstrip(b'=').decode()}"


def test_nothing_else_than_an_asymmetric_signature_of_the_provider_counts(
    local: LocalProvider, clock: Clock
) -> None:
    claims = claims_of(local.issuer)
    good = local.token()
    other = ec.generate_private_key(ec.SECP256R1())
    public = json.dumps(local.public())
    head, body, signature = good.split(".")
    forgeries = [
        *(forged({"alg": alg, "kid": local.kid}, claims) for alg in ("none", "None", "nOnE", "")),
        signed_by_hand({"alg": "HS256", "kid": local.kid}, claims, public),
        local.token(exp=float("inf")),
        local.token(exp=10**30, nbf=float("inf")),
        jwt.encode(claims, other, "ES256", {"kid": local.kid}),
        jwt.encode(claims, other, "ES256"),
        # A key that the token brings itself, or says where to find (RFC 7515, 4.1).
        jwt.encode(claims, other, "ES256", {"kid": local.kid, "jwk": local.public()}),
        jwt.encode(claims, other, "ES256", {"kid": "x", "jku": f"{local.issuer}/jwks"}),
        forged({"alg": "ES256", "kid": ["k1"]}, claims),
        forged({"alg": ["ES256"]}, claims),
        forged({"alg": "RS256", "kid": local.kid}, claims, b"x" * 64),
        local.token({"crit": ["exp"]}),
        local.token({"typ": "logout+jwt"}),
        f"{head}.{body}.",
        f"{head}.{body}.{signature[:-4]}AAAA",
        f"{head}.{base64.urlsafe_b64encode(json.dumps(claims).encode()).decode()}.{signature}",
        "..",
        "a.b.c",
        f"{'W' * 9000}.W.W",
        forged({"alg": "ES256"}, claims)[:-1] + "\xe9.",
        base64.urlsafe_b64encode(b"[" * 6000).decode() + ".W10.W10",
        base64.urlsafe_b64encode(b"[]").decode().rstrip("=") + ".W10.W10",
    ]
    assert tried(local.issuer, clock, *forgeries) == [Unauthenticated] * len(forgeries)
    assert tried(local.issuer, clock, good)[0].name == "oidc:pacs"


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
    ("claims", "options", "scopes"),
    [
        ({"scope": "a segment inbox"}, {}, {"segment", "inbox"}),
        ({"scope": ["metrics"]}, {}, {"metrics"}),
        (
            {"scp": ["x/segment", "metrics"]},
            {"scope_claim": "scp", "scope_prefix": "x/"},
            {"segment"},
        ),
        ({"roles": "admin"}, {"scope_claim": "roles"}, {"admin"}),
        ({"scope": "SEGMENT segments -segment"}, {}, set()),
        ({"scope": {"segment": True}}, {}, set()),
        ({"scope": None}, {}, set()),
    ],
)
def test_scopes_are_read_from_the_claim_that_is_configured(
    local: LocalProvider,
    clock: Clock,
    claims: dict[str, Any],
    options: dict[str, Any],
    scopes: set[str],
) -> None:
    # Of a path that needs no scope, so that a token without any is let in, too.
    (caller,) = tried(local.issuer, clock, local.token(**claims), path="/nothing", **options)
    assert caller.scopes == scopes


def test_a_person_is_in_no_log_and_is_told_apart_from_others(
    local: LocalProvider, clock: Clock
) -> None:
    tokens = [
        local.token(sub="dr.who@hospital.example"),
        local.token(sub="dr.no@hospital.example"),
        local.token(client_id="a\nb"),
        local.token(client_id=None, azp="page"),
        local.token(sub="x" * 4000),
    ]
    callers = tried(local.issuer, clock, *tokens)
    names = [caller.name for caller in callers]
    assert names == ["oidc:pacs", "oidc:pacs", "oidc:token", "oidc:page", "oidc:pacs"]
    assert len({caller.identity for caller in callers}) == 5
    assert all(len(caller.identity) < 64 for caller in callers)


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


def test_keys_and_tokens_may_both_be_configured(
    local: LocalProvider, clock: Clock, tmp_path: Path
) -> None:
    from service.access.keys import changing_keys
    from tests.service.access.test_keys import key

    with changing_keys(tmp_path / "k.json") as keys:
        keys += [key("a", "alpha"), key("dots", "a.b.c")]
    oidc = OidcOptions(local.issuer, AUDIENCE)
    options = AccessOptions("::", keys_file=tmp_path / "k.json", oidc=oidc)

    async def run() -> None:
        access = AccessControl(options, clock)
        for secret, name in ((local.token(), "oidc:pacs"), ("alpha", "a")):
            fields = [(b"authorization", f"Bearer {secret}".encode())]
            caller = await access.admit("/v1/model", fields, "192.0.2.1")
            assert caller is not None and caller.name == name
        await access.close()

    asyncio.run(run())
