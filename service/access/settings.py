"""Settings of who may ask, of TLS, and of the proxies that are believed."""

from ipaddress import IPv4Network, IPv6Network
from pathlib import Path
from typing import Annotated, Self

from pydantic import Field, field_validator, model_validator
from pydantic_settings import BaseSettings, NoDecode

from service.access.options import AccessOptions, OidcOptions
from service.access.secure_url import is_secure
from service.comma_list import comma_list
from service.tls import TlsOptions


class AccessSettings(BaseSettings):
    """The part of the service's configuration that says who reaches it, and how."""

    host: str = Field(default="127.0.0.1", description="address to listen on")
    keys_file: Path | None = Field(
        default=None,
        description="file of API keys, made by `mammoseg keys`; without it and an OpenID provider "
        "nobody is asked who it is, which only the loopback allows",
    )
    allow_anonymous: bool = Field(
        default=False, description="ask nobody who it is, on whatever address"
    )
    oidc_issuer: str | None = Field(
        default=None,
        max_length=2048,
        description="OpenID provider whose access tokens are believed: its URL, as in their `iss`",
    )
    oidc_audience: str | None = Field(
        default=None, max_length=2048, description="what `aud` of such a token must hold"
    )
    oidc_ca: Path | None = Field(
        default=None,
        description="PEM file of the authorities to check the provider's certificate against; the "
        "system's by default",
    )
    oidc_scope_claim: str = Field(
        default="scope", min_length=1, max_length=256, description="claim that holds the scopes"
    )
    oidc_scope_prefix: str = Field(
        default="", max_length=256, description="what stands before each of our scopes there"
    )
    metrics_open: bool = Field(default=False, description="give the metrics to anybody")
    requests_per_minute: int = Field(
        default=6000, ge=1, le=10**6, description="requests a minute of each caller; beyond it 429"
    )
    denied_per_minute: int = Field(
        default=60,
        ge=1,
        le=10**6,
        description="requests a minute from each address without a valid key; beyond it 429",
    )
    trusted_proxies: Annotated[frozenset[IPv4Network | IPv6Network], NoDecode] = Field(
        default=frozenset(),
        description="addresses or networks, separated by commas, of proxies whose X-Forwarded-For "
        "and X-Forwarded-Proto are believed; none by default",
    )

    tls_certificate: Path | None = Field(
        default=None, description="PEM file of the server's certificate; without it there is no TLS"
    )
    tls_key: Path | None = Field(
        default=None, description="PEM file of its private key, where that is another file"
    )
    tls_client_ca: Path | None = Field(
        default=None,
        description="PEM file of authorities: only clients with a certificate of theirs are let in",
    )
    tls_handshake_timeout_s: float = Field(
        default=10.0, gt=0, le=3600, description="longest time for a TLS handshake, seconds"
    )
    hsts_s: int = Field(
        default=31_536_000,
        ge=0,
        le=10**9,
        description="over TLS, time for which browsers are to use nothing else on this host, on "
        "whatever port, seconds; 0 does not say so",
    )

    @field_validator(
        "keys_file",
        "oidc_issuer",
        "oidc_audience",
        "oidc_ca",
        "tls_certificate",
        "tls_key",
        "tls_client_ca",
        mode="before",
    )
    @classmethod
    def _is_given_or_not(cls, value: object) -> object:
        if isinstance(value, str) and not value.strip():
            raise ValueError("must not be empty; leave it out for the default")
        return value

    @field_validator("trusted_proxies", mode="before")
    @classmethod
    def _split_proxies(cls, value: object) -> object:
        if isinstance(value, str):
            return frozenset(comma_list(value))
        return value

    @field_validator("oidc_issuer")
    @classmethod
    def _issuer_is_secure(cls, value: str | None) -> str | None:
        if value is not None and not is_secure(value):
            raise ValueError("must be an https URL")
        return value

    @model_validator(mode="after")
    def _oidc_is_whole(self) -> Self:
        if (self.oidc_issuer is None) != (self.oidc_audience is None):
            raise ValueError("oidc_issuer and oidc_audience go together")
        return self

    @model_validator(mode="after")
    def _tls_is_whole(self) -> Self:
        if self.tls_certificate is None and (self.tls_key or self.tls_client_ca):
            raise ValueError("tls_key and tls_client_ca need tls_certificate")
        return self

    def tls_options(self) -> TlsOptions | None:
        """Return the files of TLS; None where it is not spoken."""
        if self.tls_certificate is None:
            return None
        return TlsOptions(
            self.tls_certificate, self.tls_key, self.tls_client_ca, self.tls_handshake_timeout_s
        )

    def access_options(self) -> AccessOptions:
        """Return who may ask, and how often."""
        oidc = None
        if self.oidc_issuer is not None and self.oidc_audience is not None:
            oidc = OidcOptions(
                self.oidc_issuer,
                self.oidc_audience,
                self.oidc_ca,
                self.oidc_scope_claim,
                self.oidc_scope_prefix,
            )
        return AccessOptions(
            host=self.host,
            keys_file=self.keys_file,
            oidc=oidc,
            allow_anonymous=self.allow_anonymous,
            metrics_open=self.metrics_open,
            requests_per_minute=self.requests_per_minute,
            denied_per_minute=self.denied_per_minute,
        )
