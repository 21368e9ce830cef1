"""Keys as a file of keys holds them."""

from datetime import date

from service.access.keys import ApiKey, digest_of
from service.access.scopes import Scope

TODAY = date(2026, 11, 29)


def key(name: str, secret: str = "x", scopes: tuple[Scope, ...] = (Scope.SEGMENT,)) -> ApiKey:
    return ApiKey(name, digest_of(secret), frozenset(scopes), TODAY)
