"""Access tokens, of a provider in this process and of oauth2-mock-server."""

import asyncio
import base64
import hmac
import json
import time
from pathlib import Path
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from service.access.access import AccessControl
from service.access.caller import NotInScope
from service.access.keys import changing_keys
from service.access.options import AccessOptions, OidcOptions
from service.access.scopes import Scope
from service.errors import Unauthenticated
from tests.openid_providers import AUDIENCE, LocalProvider, Provider, claims_of
from tests.service.access.api_keys import key
from tests.service.access.tokens import Clock, tried

pytestmark = pytest.mark.integration

NOW = int(time.time())


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


def test_keys_and_tokens_may_both_be_configured(
    local: LocalProvider, clock: Clock, tmp_path: Path
) -> None:
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
