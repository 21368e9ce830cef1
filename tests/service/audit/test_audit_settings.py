"""Where the audit trail goes is said in one setting, and nonsense ends the start."""

from pathlib import Path

import pytest
from pydantic import ValidationError

from service.audit.collector import CollectorAddress, parse_address
from service.settings import Settings

pytestmark = pytest.mark.unit

TLS = "syslog-tls://audit.clinic"
WRONG: dict[str, dict[str, object]] = {
    "nothing": {"audit": " "},
    "no scheme": {"audit": "audit.clinic:6514"},
    "another scheme": {"audit": "https://audit.clinic"},
    "no host": {"audit": "syslog-tls://:6514"},
    "no port": {"audit": "syslog-tls://audit.clinic:0"},
    "a port beyond all": {"audit": "syslog-tls://audit.clinic:65536"},
    "a path": {"audit": "syslog-tls://audit.clinic/log"},
    "credentials": {"audit": "syslog-tls://me:secret@audit.clinic"},  # pragma: allowlist secret
    "a broken address": {"audit": "syslog-tls://[::1"},
    "a key without a certificate": {"audit": TLS, "audit_key": "a.key"},
    "authorities without TLS": {"audit": "syslog-tcp://audit.clinic", "audit_ca": "ca.pem"},
    "authorities without a collector": {"audit_ca": "ca.pem"},
    "an empty folder": {"audit": TLS, "audit_folder": ""},
    "a name that breaks a line": {"audit": TLS, "audit_source": "a\nb"},
    "no room": {"audit": TLS, "audit_mib": 0},
}


@pytest.mark.parametrize("given", WRONG.values(), ids=WRONG.keys())
def test_settings_that_make_no_sense_end_the_start(given: dict[str, object]) -> None:
    with pytest.raises(ValidationError) as caught:
        Settings(**given)  # type: ignore[arg-type]
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    ("url", "address"),
    [
        ("syslog-tls://audit.clinic", CollectorAddress("tls", "audit.clinic", 6514)),
        ("syslog-tls://[::1]:7000/", CollectorAddress("tls", "::1", 7000)),
        ("syslog-tcp://10.0.0.1", CollectorAddress("tcp", "10.0.0.1", 601)),
        ("syslog-udp://10.0.0.1", CollectorAddress("udp", "10.0.0.1", 514)),
    ],
)
def test_a_url_names_the_transport_the_host_and_the_port(
    url: str, address: CollectorAddress
) -> None:
    assert parse_address(url) == address


def test_it_is_off_by_default_and_waits_in_the_inbox_folder_where_it_is_on() -> None:
    assert Settings().audit_options(Path("/inbox")) is None
    on = Settings(audit=TLS).audit_options(Path("/inbox"))
    assert on is not None and on.folder == Path("/inbox")
    elsewhere = Settings(audit=TLS, audit_folder="/audit").audit_options(Path("/inbox"))
    assert elsewhere is not None and elsewhere.folder == Path("/audit")
