"""`python -m service.probe`: whether the service on this machine is ready; for containers.

It imports next to nothing, since it runs every few seconds, and knows address and TLS from the
environment.
"""

import http.client
import os
import ssl
import sys

TIMEOUT_S = 2.0

EVERY_ADDRESS = {"0.0.0.0": ("127.0.0.1",), "::": ("::1", "127.0.0.1")}  # noqa: S104
"""Where this machine reaches who listens on all of its addresses; one without IPv6 has no ::1."""


def main() -> int:
    """Return 0 if it is ready, else 1."""
    host = os.environ.get("MAMMOSEG_HOST", "").strip() or "127.0.0.1"
    port = int(os.environ.get("MAMMOSEG_PORT", "8000"))
    for address in addresses(host):
        try:
            return 0 if is_ready(address, port) else 1
        except (OSError, http.client.HTTPException):
            continue
    return 1


def addresses(host: str) -> tuple[str, ...]:
    """Return where this machine reaches who listens on a host, the first that answers."""
    return EVERY_ADDRESS.get(host, (host,))


def is_ready(host: str, port: int) -> bool:
    """Ask for readiness; raises where nothing answers."""
    connection = http.client.HTTPConnection(host, port, timeout=TIMEOUT_S)
    if os.environ.get("MAMMOSEG_TLS_CERTIFICATE"):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        # Its certificate names the host, not the address, and nothing is sent.
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        connection = http.client.HTTPSConnection(host, port, timeout=TIMEOUT_S, context=context)
    try:
        connection.connect()
        if os.environ.get("MAMMOSEG_TLS_CLIENT_CA"):
            # It speaks TLS, and will ask for a certificate that this probe has not.
            return True
        connection.request("GET", "/health/ready")
        return connection.getresponse().status == 200
    finally:
        connection.close()


if __name__ == "__main__":
    sys.exit(main())
