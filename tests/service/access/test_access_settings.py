from ipaddress import ip_network
from pathlib import Path

import pytest
from pydantic import ValidationError

from service.settings import Settings
from service.tls_files import TlsFiles

pytestmark = pytest.mark.unit

WRONG: dict[str, dict[str, object]] = {
    "an issuer without an audience": {"oidc_issuer": "https://id.example"},
    "an audience without an issuer": {"oidc_audience": "mammoseg"},
    "an issuer in the clear": {"oidc_issuer": "http://id.example", "oidc_audience": "a"},
    "an issuer that is no URL": {"oidc_issuer": "id.example", "oidc_audience": "a"},
    "a key without a certificate": {"tls_key": "server.key"},
    "clients without a certificate": {"tls_client_ca": "clients.pem"},
    "everybody as a proxy": {"trusted_proxies": "*"},
    "a name as a proxy": {"trusted_proxies": "proxy.example"},
    "a network with a host in it": {"trusted_proxies": "10.0.0.1/8"},
    "no requests at all": {"requests_per_minute": 0},
    "an empty file of keys": {"keys_file": " "},
    "an empty certificate": {"tls_certificate": ""},
    "no time for a handshake": {"tls_handshake_timeout_s": 0},
}


@pytest.mark.parametrize("given", WRONG.values(), ids=WRONG.keys())
def test_settings_that_make_no_sense_stop_the_start(given: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        Settings(**given)  # type: ignore[arg-type]


def test_by_default_nobody_is_believed_and_nothing_is_spoken() -> None:
    settings = Settings()
    assert not settings.access_options().is_configured
    assert settings.tls_options() is None
    assert not settings.trusted_proxies and not settings.allow_anonymous


def test_what_is_set_is_what_access_is_given(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {
        "KEYS_FILE": "/etc/mammoseg/keys.json",
        "OIDC_ISSUER": "https://id.example/realms/a",
        "OIDC_AUDIENCE": "mammoseg",
        "OIDC_SCOPE_CLAIM": "scp",
        "METRICS_OPEN": "true",
        "DENIED_PER_MINUTE": "5",
        "TLS_CERTIFICATE": "server.pem",
        "TLS_CLIENT_CA": "clients.pem",
        "TRUSTED_PROXIES": "10.0.0.0/8, 192.0.2.1,::1",
    }.items():
        monkeypatch.setenv(f"MAMMOSEG_{name}", value)
    settings = Settings()
    access, tls = settings.access_options(), settings.tls_options()
    assert access.keys_file == Path("/etc/mammoseg/keys.json")
    assert access.oidc is not None and access.oidc.issuer == "https://id.example/realms/a"
    assert (access.oidc.scope_claim, access.oidc.audience) == ("scp", "mammoseg")
    assert access.metrics_open and access.denied_per_minute == 5
    assert tls is not None
    assert tls.files == TlsFiles(certificate=Path("server.pem"), ca=Path("clients.pem"))
    proxies = ("10.0.0.0/8", "192.0.2.1/32", "::1/128")
    assert settings.trusted_proxies == {ip_network(one) for one in proxies}
