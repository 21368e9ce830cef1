from pathlib import Path

import pytest

from service.access.access import AccessControl, is_loopback, site_of
from service.access.keys import changing_keys
from service.access.options import AccessOptions, OidcOptions
from service.access.scopes import Scope, need_of
from service.errors import StartupError
from tests.service.access.api_keys import key

pytestmark = pytest.mark.unit

OIDC = OidcOptions("https://id.example", "mammoseg")


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.1", "10.0.0.1", "::ffff:127.0.0.1"])
def test_other_addresses_than_the_loopback_need_keys_or_a_word(host: str, tmp_path: Path) -> None:
    with pytest.raises(StartupError, match="ALLOW_ANONYMOUS"):
        AccessControl(AccessOptions(host))
    AccessControl(AccessOptions(host, allow_anonymous=True))
    AccessControl(AccessOptions(host, oidc=OIDC))
    file = tmp_path / "keys.json"
    with changing_keys(file) as keys:
        keys.append(key("a"))
    AccessControl(AccessOptions(host, keys_file=file))


@pytest.mark.parametrize("host", ["127.0.0.1", "127.1.2.3", "::1"])
def test_the_loopback_needs_none(host: str) -> None:
    assert AccessControl(AccessOptions(host)).need("/v1/segment") == "nothing"


@pytest.mark.parametrize("host", ["127.0.0.1", "0.0.0.0"])
def test_keys_that_are_configured_and_missing_open_nothing(host: str, tmp_path: Path) -> None:
    file = tmp_path / "keys.json"
    with pytest.raises(StartupError, match="there is no"):
        AccessControl(AccessOptions(host, keys_file=file))
    with changing_keys(file):
        pass
    with pytest.raises(StartupError, match="holds no key"):
        AccessControl(AccessOptions(host, keys_file=file))
    AccessControl(AccessOptions(host, keys_file=file, oidc=OIDC))


def test_keys_and_no_keys_at_once_are_a_contradiction(tmp_path: Path) -> None:
    for options in (
        AccessOptions("::", keys_file=tmp_path / "k", allow_anonymous=True),
        AccessOptions("::", oidc=OIDC, allow_anonymous=True),
    ):
        with pytest.raises(StartupError, match="contradicts"):
            AccessControl(options)


@pytest.mark.parametrize(
    ("path", "need"),
    [
        ("/", "nothing"),
        ("/page/app.js", "nothing"),
        ("/health/ready", "nothing"),
        ("/v1/segment", Scope.SEGMENT),
        ("/v1/a/route/to/come", Scope.SEGMENT),
        ("/dicom-web/studies/1.2", Scope.INBOX),
        ("/metrics", Scope.METRICS),
        ("/metricsx", "a-caller"),
        ("//", "a-caller"),
        ("//v1/segment", "a-caller"),
        ("/page", "a-caller"),
        ("/static/app.js", "a-caller"),
        ("/healthy", "a-caller"),
        ("", "a-caller"),
    ],
)
def test_what_is_not_listed_needs_a_caller(path: str, need: str) -> None:
    assert need_of(path) == need


@pytest.mark.parametrize(
    ("address", "site"),
    [
        ("192.0.2.7", "192.0.2.7"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("2001:db8:1:2::1", "2001:db8:1:2::/64"),
        ("::ffff:192.0.2.7", "192.0.2.7"),
        ("", "unknown"),
        ("x" * 10_000, "unknown"),
    ],
)
def test_a_site_is_counted_as_one_however_many_addresses_it_has(address: str, site: str) -> None:
    assert site_of(address) == site


def test_a_name_is_what_it_resolves_to(monkeypatch: pytest.MonkeyPatch) -> None:
    resolved = {"here": ["127.0.0.1", "::1"], "both": ["127.0.0.1", "192.0.2.1"]}

    def resolve(host: str, _: object) -> list[tuple[object, ...]]:
        if host not in resolved:
            raise OSError
        return [(0, 0, 0, "", (address, 0)) for address in resolved[host]]

    monkeypatch.setattr("socket.getaddrinfo", resolve)
    assert is_loopback("here") and not is_loopback("both") and not is_loopback("nowhere")
