"""What a request brings with it to say who sends it."""

import base64
import binascii
from collections.abc import Iterable

Fields = Iterable[tuple[bytes, bytes]]
"""Of a request's header: lower-case names, and values."""


class NoCredentials(Exception):
    """The request brings none."""


def secret_of(fields: Fields) -> str | None:
    """Return the key or the token that a request brings; None where what it brings is neither.

    `Authorization: Bearer SECRET` (RFC 6750, 2.1), or `Basic` with the secret as the password and
    any user name (RFC 7617): some senders of DICOM know nothing else. Never from the URL, which
    proxies log.

    Raises
    ------
    NoCredentials
        It brings none.
    """
    values = [value for name, value in fields if name == b"authorization"]
    if not values:
        raise NoCredentials
    if len(values) > 1:
        return None
    scheme, _, rest = values[0].partition(b" ")
    if scheme.lower() == b"bearer":
        secret = rest.strip()
    elif scheme.lower() == b"basic":
        try:
            secret = base64.b64decode(rest.strip(), validate=True).partition(b":")[2]
        except (binascii.Error, ValueError):
            return None
    else:
        return None
    return secret.decode("latin-1") or None


def looks_like_token(secret: str) -> bool:
    """Tell whether a secret may be a token: three parts of Base64 (RFC 7515, 3.1)."""
    return secret.count(".") == 2
