"""The one place where it is decided who may do what."""

import ipaddress
import socket
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

import structlog

from service.access.caller import Caller, NotInScope
from service.access.credentials import Fields, NoCredentials, looks_like_token, secret_of
from service.access.keyring import Keyring
from service.access.options import AccessOptions, OidcOptions
from service.access.scopes import Need, Scope, allows, need_of
from service.access.token_buckets import TokenBuckets
from service.errors import StartupError, TooManyRequests, Unauthenticated

if TYPE_CHECKING:
    from service.access.tokens import TokenVerifier

log = structlog.get_logger("mammoseg")

IPV6_SITE_BITS = 64
"""Of an IPv6 address, what a site is given: the rest its machines choose as they like."""


class AccessControl:
    """Decides, from a request's header alone, whether it may come in.

    Parameters
    ----------
    options
        What is configured.
    clock
        Seconds, monotonic.

    Raises
    ------
    StartupError
        The keys file is missing or broken, nobody could come in, or anybody could.
    """

    def __init__(self, options: AccessOptions, clock: Callable[[], float] = time.monotonic) -> None:
        options.check(is_loopback(options.host))
        self._options = options
        self._keyring: Keyring | None = None
        self._tokens: TokenVerifier | None = None
        if options.keys_file is not None:
            try:
                self._keyring = Keyring(options.keys_file, clock)
            except FileNotFoundError:
                raise StartupError(
                    f"MAMMOSEG_KEYS_FILE: there is no {options.keys_file}; make it by mammoseg "
                    f"keys add NAME --file {options.keys_file}"
                ) from None
        if options.oidc is not None:
            self._tokens = _token_verifier(options.oidc, clock)
        if options.is_configured and not self._keyring and self._tokens is None:
            raise StartupError("MAMMOSEG_KEYS_FILE holds no key: mammoseg keys add NAME")
        self._known = TokenBuckets(options.requests_per_minute, clock=clock)
        self._denied = TokenBuckets(options.denied_per_minute, clock=clock)

    def start(self) -> None:
        """Fetch the provider's keys in the background, so that the log tells early if it fails."""
        if self._options.allow_anonymous:
            log.warning("access-open", host=self._options.host)
        if self._tokens is not None:
            self._tokens.keys.fetch()

    async def close(self) -> None:
        """End what `start` began."""
        if self._tokens is not None:
            await self._tokens.keys.close()

    def need(self, path: str) -> Need:
        """Return what a path needs here."""
        need = need_of(path)
        is_open = not self._options.is_configured or (
            need is Scope.METRICS and self._options.metrics_open
        )
        return "nothing" if is_open else need

    async def admit(self, path: str, fields: Fields, address: str) -> Caller | None:
        """Let a request in; return who sends it, None where nobody is asked.

        Parameters
        ----------
        path
            As the routes see it.
        fields
            Of the header: lower-case names, and values.
        address
            The sender's.

        Raises
        ------
        Unauthenticated, NotInScope
            It may not come in.
        TooManyRequests
            The sender asks too often.
        Overloaded
            Whether a token is one is not known now.
        """
        need = self.need(path)
        if need == "nothing":
            return None
        caller, tried = await self._caller(fields)
        if caller is None:
            # Those who bring a key pass all the same: many share the address of a proxy.
            _refuse_if_over(self._denied.take(site_of(address)))
            raise Unauthenticated(tried=tried)
        _refuse_if_over(self._known.take(caller.identity))
        if not allows(caller.scopes, need):
            raise NotInScope(scope=str(need), caller=caller)
        return caller

    async def _caller(self, fields: Fields) -> tuple[Caller | None, bool]:
        """Return who a request's header speaks for, and whether it says anything of it."""
        try:
            secret = secret_of(fields)
        except NoCredentials:
            return None, False
        if secret is None:
            return None, True
        if self._tokens is not None and looks_like_token(secret):
            return await self._tokens.caller_of(secret), True
        key = None if self._keyring is None else self._keyring.find(secret)
        if key is None:
            return None, True
        return Caller(key.name, f"key:{key.name}", key.scopes), True


def _token_verifier(oidc: OidcOptions, clock: Callable[[], float]) -> "TokenVerifier":
    # They take 10 MiB, with the cryptography that they stand on.
    from service.access.signing_keys import SigningKeys
    from service.access.tokens import TokenVerifier

    return TokenVerifier(oidc, SigningKeys(oidc.issuer, oidc.ca, clock))


def _refuse_if_over(wait_s: float) -> None:
    if wait_s:
        raise TooManyRequests("rate-limit", "Too many requests; try again later.", wait_s)


def site_of(address: str) -> str:
    """Return what stands for all addresses that one sender may have: of IPv6, its network."""
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return "unknown"
    if isinstance(parsed, ipaddress.IPv6Address):
        if parsed.ipv4_mapped is not None:
            return str(parsed.ipv4_mapped)
        return str(ipaddress.ip_network((int(parsed), IPV6_SITE_BITS), strict=False))
    return str(parsed)


def is_loopback(host: str) -> bool:
    """Tell whether only this machine reaches an address or a name that is listened on."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        pass
    try:
        found = {entry[4][0] for entry in socket.getaddrinfo(host, None)}
    except OSError:
        return False
    return all(ipaddress.ip_address(str(address).split("%")[0]).is_loopback for address in found)
