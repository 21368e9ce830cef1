"""How a PostgreSQL database is reached: its URL, as libpq writes it, taken apart and checked."""

from dataclasses import dataclass, field
from ipaddress import ip_address
from pathlib import Path
from typing import Self
from urllib.parse import parse_qsl, unquote, urlsplit

SCHEMES = ("postgresql", "postgres")
PORT = 5432
MODES = ("disable", "require", "verify-ca", "verify-full")
"""What `sslmode` may say, as in libpq; there is no mode that speaks TLS or not as it happens."""

_PARAMETERS = frozenset(("host", "sslmode", "sslrootcert", "sslcert", "sslkey"))


@dataclass(frozen=True, slots=True)
class PostgresOptions:
    """What a connection needs.

    Attributes
    ----------
    host, port
        Of the server; a host that begins with `/` is the folder of its Unix socket.
    database, user
        Names.
    password
        Never shown; None where the server asks for none.
    mode
        One of `MODES`.
    authorities, certificate, key
        PEM files: who signs the server's certificate, and ours with its key.
    """

    host: str
    port: int
    database: str
    user: str
    password: str | None = field(repr=False)
    mode: str
    authorities: Path | None = None
    certificate: Path | None = None
    key: Path | None = None

    @property
    def socket_file(self) -> str | None:
        """The path of the server's Unix socket, where that is how it is reached."""
        return f"{self.host}/.s.PGSQL.{self.port}" if self.host.startswith("/") else None

    @classmethod
    def parse(cls, url: str, password: str | None = None) -> Self:
        """Take a URL apart: `postgresql://user@host:port/database?sslmode=verify-full`.

        Parameters
        ----------
        url
            By default TLS is spoken and the server's certificate is checked, unless the server is
            on this machine.
        password
            Where the URL holds none.

        Raises
        ------
        ValueError
            It is no such URL; the message holds nothing of it.
        """
        try:
            parts = urlsplit(url)
            port = parts.port or PORT
            given = dict(parse_qsl(parts.query, strict_parsing=True)) if parts.query else {}
        except ValueError:
            raise ValueError("is no URL of a PostgreSQL database") from None
        if parts.scheme not in SCHEMES:
            raise ValueError("must be postgresql://user@host/database")
        if not given.keys() <= _PARAMETERS or parts.fragment:
            raise ValueError(f"takes these parameters alone: {', '.join(sorted(_PARAMETERS))}")
        host = given.get("host") or unquote(parts.hostname or "")
        user, database = unquote(parts.username or ""), unquote(parts.path.removeprefix("/"))
        if not (host and user and database):
            raise ValueError("must name a user, a host and a database")
        in_url = None if parts.password is None else unquote(parts.password)
        if in_url is not None and password is not None:
            raise ValueError("holds a password, and there is a file of it, too")
        mode = given.get("sslmode") or ("disable" if _is_here(host) else "verify-full")
        if mode not in MODES:
            raise ValueError(f"sslmode must be one of {', '.join(MODES)}")
        files = (given.get(name) for name in ("sslrootcert", "sslcert", "sslkey"))
        paths = [None if file is None else Path(file) for file in files]
        return cls(host, port, database, user, in_url or password, mode, *paths)


def _is_here(host: str) -> bool:
    if host.startswith("/") or host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False
