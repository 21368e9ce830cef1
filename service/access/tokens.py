"""Access tokens of an OpenID provider (RFC 7519, RFC 9068): which are believed, and for what."""

import hashlib
import re
from collections.abc import Mapping
from typing import Any

import jwt

from service.access.caller import Caller
from service.access.options import OidcOptions
from service.access.scopes import Scope
from service.access.signing_keys import ALGORITHMS, SigningKey, SigningKeys

LEEWAY_S = 30
"""Seconds by which the provider's clock may differ from ours."""

TYPES = frozenset({"", "jwt", "at+jwt", "application/at+jwt"})
"""Of tokens, in their header: so a logout token or another kind is not taken for one of access (RFC
8725, 3.11)."""

CLIENT = re.compile(r"[A-Za-z0-9._:-]{1,64}")


class TokenVerifier:
    """Tells who an access token speaks for.

    Parameters
    ----------
    options
        Whose tokens are believed.
    keys
        The provider's.
    """

    def __init__(self, options: OidcOptions, keys: SigningKeys) -> None:
        self._options, self.keys = options, keys

    async def caller_of(self, token: str) -> Caller | None:
        """Return who a token speaks for; None where it is not believed, for whatever reason.

        Raises
        ------
        Overloaded
            The provider's keys are not known, since it does not answer.
        """
        named = _named(token)
        if named is None:
            return None
        for key in await self.keys.matching(*named):
            claims = self._verified(token, key)
            if claims is not None:
                return self._caller(claims)
        return None

    def _verified(self, token: str, key: SigningKey) -> dict[str, Any] | None:
        options = self._options
        try:
            claims: dict[str, Any] = jwt.decode(
                token,
                key.key.key,
                # By the key, never by the token.
                algorithms=sorted(key.algorithms),
                audience=options.audience,
                issuer=options.issuer,
                leeway=LEEWAY_S,
                options={
                    "require": ["exp", "iss", "aud", "sub"],
                    "enforce_minimum_key_length": True,
                },
            )
        except Exception:
            # Whatever a stranger wrote: it is not believed.
            return None
        return claims

    def _caller(self, claims: Mapping[str, Any]) -> Caller:
        client = claims.get("client_id", claims.get("azp"))
        name = client if isinstance(client, str) and CLIENT.fullmatch(client) else "token"
        person = f"{client}\0{claims['sub']}".encode("utf-8", "replace")
        identity = "oidc:" + hashlib.sha256(person).hexdigest()[:32]
        return Caller(f"oidc:{name}", identity, self._scopes(claims), str(claims["sub"]))

    def _scopes(self, claims: Mapping[str, Any]) -> frozenset[Scope]:
        """Return those of our scopes that a token has: in one string (RFC 8693, 4.2), or a list."""
        told = claims.get(self._options.scope_claim, "")
        words = told.split() if isinstance(told, str) else told if isinstance(told, list) else []
        held = {str(word) for word in words}
        return frozenset(scope for scope in Scope if self._options.scope_prefix + scope in held)


def _named(token: str) -> tuple[str | None, str] | None:
    """Return which key a token names, if any, and its algorithm; None for no token to believe."""
    try:
        header = jwt.get_unverified_header(token)
    except Exception:
        return None
    kid, algorithm, kind = header.get("kid"), header.get("alg"), header.get("typ", "")
    if not (kid is None or isinstance(kid, str)) or not isinstance(algorithm, str):
        return None
    if algorithm not in ALGORITHMS or not isinstance(kind, str) or kind.lower() not in TYPES:
        return None
    return kid, algorithm
