"""A PostgreSQL server of the machine's own package, in a temporary folder, on the loopback."""

import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from service.inbox.database import DatabaseFails
from service.inbox.postgres_connection import PostgresConnection
from service.inbox.postgres_schema import SCHEMA
from service.postgres_options import PostgresOptions
from tests.ports import free_port
from tests.programs import skip_or_fail
from tests.waiting import HANG_S

USER, PASSWORD, DATABASE = "mammoseg", "s3cret of the test", "postgres"


class PostgresServer:
    """One server; what it commits survives its own kills.

    Attributes
    ----------
    url
        Of its database, without the password.
    password_file
        Holds that.
    """

    def __init__(self, folder: Path, programs: Path) -> None:
        self._programs, self._data = programs, folder / "data"
        self._port = free_port()
        self._log = folder / "postgres.log"
        self.url = f"postgresql://{USER}@127.0.0.1:{self._port}/{DATABASE}"
        self.password_file = folder / "password"
        self.password_file.write_text(PASSWORD + "\n")
        # PostgreSQL does not run as root.
        self._as: dict[str, Any] = {}
        if os.geteuid() == 0:
            account = pwd.getpwnam("nobody")
            self._as = {"user": account.pw_uid, "group": account.pw_gid, "extra_groups": []}
            for path in (folder, self.password_file):
                os.chown(path, account.pw_uid, account.pw_gid)
        self._process: subprocess.Popen[bytes] | None = None
        access = ("-U", USER, "-A", "scram-sha-256", "--pwfile", self.password_file)
        self._run("initdb", "-D", self._data, *access, "--no-sync")

    def start(self, *options: str) -> None:
        """Start it and wait until it answers."""
        command = [str(self._programs / "postgres"), "-D", str(self._data), "-p", str(self._port)]
        command += ["-c", "listen_addresses=127.0.0.1", "-c", "unix_socket_directories=", *options]
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(command, stdout=log, stderr=log, **self._as)
        ends = time.monotonic() + HANG_S
        while time.monotonic() < ends:
            try:
                PostgresConnection(PostgresOptions.parse(self.url, PASSWORD), 60.0).close()
                return
            except DatabaseFails:
                time.sleep(0.1)
        raise TimeoutError(self._log.read_text(errors="replace")[-2000:])

    def stop(self, how: signal.Signals = signal.SIGINT) -> None:
        """End it: in order by SIGINT, as a crash by SIGQUIT."""
        assert self._process is not None
        self._process.send_signal(how)
        self._process.wait(HANG_S)
        self._process = None

    def emptied(self) -> dict[str, Any]:
        """Drop what there is of an inbox; returns the settings of one in this database."""
        drop_inbox(PostgresOptions.parse(self.url, PASSWORD))
        return {
            "inbox_database": self.url,
            "inbox_database_password_file": self.password_file,
        }

    def close(self) -> None:
        if self._process is not None:
            self.stop()

    def _run(self, program: str, *arguments: str | Path) -> None:
        done = subprocess.run(
            [self._programs / program, *arguments],
            capture_output=True,
            text=True,
            cwd="/",
            **self._as,
        )
        assert done.returncode == 0, done.stderr


def drop_inbox(options: PostgresOptions) -> None:
    """Lose all tables of an inbox."""
    connection = PostgresConnection(options, 60.0)
    connection.execute(f"DROP SCHEMA IF EXISTS {SCHEMA} CASCADE")
    connection.close()


@contextmanager
def postgres_server() -> Iterator[PostgresServer]:
    """Run one; skips by name where there is none."""
    try:
        import pg8000  # noqa: F401
    except ImportError:
        skip_or_fail("needs pg8000 (mammoseg[replicas])")
    programs = _programs()
    if programs is None:
        skip_or_fail("needs postgres (package postgresql)")
    with tempfile.TemporaryDirectory() as folder:
        # Its own user has to reach it, which a test's temporary folder does not let it.
        server = PostgresServer(Path(folder), programs)
        try:
            server.start()
            yield server
        finally:
            server.close()


def _programs() -> Path | None:
    """Return the newest server's folder; Debian keeps it out of the path."""
    found = shutil.which("postgres")
    if found is not None:
        return Path(found).parent
    folders = Path("/usr/lib/postgresql").glob("*/bin/postgres")
    return max((path.parent for path in folders), default=None)
