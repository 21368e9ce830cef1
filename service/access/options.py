"""What access is configured to be; made by the settings."""

from dataclasses import dataclass
from pathlib import Path

from service.errors import StartupError


@dataclass(frozen=True, slots=True)
class OidcOptions:
    """Whose access tokens are believed.

    Attributes
    ----------
    issuer
        URL of the OpenID provider, as its tokens have it in `iss`.
    audience
        What `aud` of a token must hold.
    ca
        PEM file of the authorities to check the provider's certificate against; the system's where
        None.
    scope_claim
        Claim that holds a token's scopes.
    scope_prefix
        What stands before each of ours there.
    """

    issuer: str
    audience: str
    ca: Path | None = None
    scope_claim: str = "scope"
    scope_prefix: str = ""


@dataclass(frozen=True, slots=True)
class AccessOptions:
    """Who may ask, and how often.

    Attributes
    ----------
    host
        Address that the service listens on.
    keys_file
        File of API keys; None where there is none.
    oidc
        Whose tokens are believed; None for nobody's.
    allow_anonymous
        Nobody is asked who it is, on whatever address.
    metrics_open
        Metrics need no scope.
    requests_per_minute
        That a caller who is known may send.
    denied_per_minute
        That an address may send without being known; after that it is told to wait.
    """

    host: str
    keys_file: Path | None = None
    oidc: OidcOptions | None = None
    allow_anonymous: bool = False
    metrics_open: bool = False
    requests_per_minute: int = 6000
    denied_per_minute: int = 60

    @property
    def is_configured(self) -> bool:
        """Whether callers are asked who they are."""
        return self.keys_file is not None or self.oidc is not None

    def check(self, is_loopback: bool) -> None:
        """Check that the service is open to nobody whom it was not opened to on purpose.

        Parameters
        ----------
        is_loopback
            Whether only this machine reaches `host`.

        Raises
        ------
        StartupError
            It would be, or the settings contradict each other.
        """
        if self.is_configured and self.allow_anonymous:
            raise StartupError(
                "MAMMOSEG_ALLOW_ANONYMOUS contradicts MAMMOSEG_KEYS_FILE and MAMMOSEG_OIDC_ISSUER: "
                "leave it out, or them"
            )
        if not self.is_configured and not self.allow_anonymous and not is_loopback:
            raise StartupError(
                f"it would take images from anybody who reaches {self.host}. Make a key (mammoseg "
                "keys add NAME --file FILE) and set MAMMOSEG_KEYS_FILE, or set "
                "MAMMOSEG_OIDC_ISSUER, or MAMMOSEG_ALLOW_ANONYMOUS=true; docs/access.md says how"
            )
