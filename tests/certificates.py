"""An authority and the certificates that it signs, made by openssl: good, expired, another's."""

import subprocess
from dataclasses import dataclass
from pathlib import Path

from tests.programs import require_program


@dataclass(frozen=True, slots=True)
class Pair:
    """A certificate and its key, PEM files."""

    certificate: Path
    key: Path


class Authority:
    """Signs certificates for localhost and 127.0.0.1; its files lie in a folder."""

    def __init__(self, folder: Path, name: str = "authority") -> None:
        self._folder, self._name = folder, name
        self.certificate, self._key = folder / f"{name}.pem", folder / f"{name}.key"
        _openssl(
            *(
                "req",
                "-x509",
                "-newkey",
                "rsa:2048",
                "-nodes",
                "-days",
                "2",
                "-subj",
                f"/CN={name}",
            ),
            *("-keyout", self._key, "-out", self.certificate),
        )

    def sign(self, name: str, days: int = 2) -> Pair:
        """Make a key and its certificate; with -1 days it expired yesterday."""
        stem = self._folder / f"{self._name}-{name}"
        key, request, extensions = (stem.with_suffix(s) for s in (".key", ".csr", ".ext"))
        pair = Pair(stem.with_suffix(".pem"), key)
        extensions.write_text("subjectAltName=DNS:localhost,IP:127.0.0.1\n")
        _openssl(
            *("req", "-newkey", "rsa:2048", "-nodes", "-subj", f"/CN={name}"),
            *("-keyout", key, "-out", request),
        )
        _openssl(
            *("x509", "-req", "-in", request, "-CA", self.certificate, "-CAkey", self._key),
            *("-days", str(days), "-extfile", extensions, "-out", pair.certificate),
        )
        return pair


def _openssl(*arguments: str | Path) -> None:
    program = require_program("openssl", "openssl")
    subprocess.run([program, *map(str, arguments)], check=True, capture_output=True)
