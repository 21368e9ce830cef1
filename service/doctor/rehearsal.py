"""Opens what the service would write to, so that nothing of it is left, changed or locked.

What is there is looked at; what is not is made beside it, by the functions that `serve` makes it
by, and deleted. So the doctor may be run by another user than the service's, and while that runs.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

from service.audit.buffer import AuditBuffer, check_buffer
from service.audit.options import AuditOptions
from service.audit.trail import collector_tls
from service.errors import StartupError
from service.inbox.folders import check_folders
from service.inbox.inbox import DATABASE_FILE
from service.inbox.postgres_check import check_postgres
from service.inbox.sqlite import check_sqlite
from service.inbox.tie import look_at_tie
from service.settings import Settings
from service.startup.parts import check_destinations, open_inbox, open_watch

PREFIX = ".mammoseg-doctor-"


def rehearse_inbox(settings: Settings) -> None:
    """Open the inbox, and make a client of each destination.

    Raises
    ------
    StartupError
        As `open_inbox` and `check_destinations`.
    """
    check_destinations(settings)
    folder, postgres = settings.inbox, settings.postgres_options()
    check_folders(folder)
    if postgres is None:
        check_sqlite(folder / DATABASE_FILE)
    else:
        check_postgres(postgres, partial(look_at_tie, folder))
    with _beside(folder, f"the inbox {folder} cannot be written") as made:
        elsewhere = {"inbox": made, "inbox_database": None, "inbox_database_password_file": None}
        inbox = open_inbox(settings.model_copy(update=elsewhere))
        if inbox is not None:
            inbox.close()


def rehearse_audit(options: AuditOptions) -> None:
    """Open the buffer of the audit trail, and read its TLS files.

    Raises
    ------
    StartupError
        As `AuditTrail`.
    """
    collector_tls(options)
    check_buffer(options.folder)
    with _beside(options.folder, f"the audit buffer in {options.folder} cannot be opened") as made:
        AuditBuffer(made, options.max_bytes).close()


def rehearse_watch(settings: Settings) -> None:
    """Open the log of inferences, the site's secret, and where traces go.

    Raises
    ------
    StartupError
        As `open_watch`.
    """
    where = settings.inference_log
    if not isinstance(where, Path):
        open_watch(settings).close()
        return
    if os.path.lexists(where):
        try:
            # Not blocking: a pipe that nobody reads would hold the doctor up.
            os.close(os.open(where, os.O_WRONLY | os.O_APPEND | os.O_NONBLOCK | os.O_CLOEXEC))
        except OSError as error:
            raise StartupError(f"INFERENCE_LOG cannot be opened: {error.strerror}") from None
        open_watch(settings.model_copy(update={"inference_log": "off"})).close()
        return
    with _beside(where.parent, "INFERENCE_LOG cannot be opened", parents=False) as made:
        open_watch(settings.model_copy(update={"inference_log": made / "log"})).close()


@contextmanager
def _beside(folder: Path, failure: str, *, parents: bool = True) -> Iterator[Path]:
    """Yield a new folder in the one that is meant, or where that would be made; gone at the end.

    Parameters
    ----------
    folder
        The one that is meant.
    failure
        What an error of the system's begins with.
    parents
        It would be made with all folders above it.

    Raises
    ------
    StartupError
        None can be made there; or one that is raised meanwhile, of the folder that is meant.
    """
    there = folder
    while parents and not os.path.lexists(there):
        there = there.parent
    try:
        with TemporaryDirectory(prefix=PREFIX, dir=there, ignore_cleanup_errors=True) as name:
            yield Path(name)
    except StartupError as error:
        raise StartupError(str(error).replace(name, str(folder))) from None
    except OSError as error:
        raise StartupError(f"{failure}: {error.strerror}") from None
