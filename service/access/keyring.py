"""The keys that count now: those of the keys file, looked at again while the service runs."""

import hmac
import time
from collections.abc import Callable
from pathlib import Path

import structlog

from service.access.keys import ApiKey, KeysFileError, digest_of, read_keys
from service.system.file_watch import FileWatch

log = structlog.get_logger("mammoseg")

LOOK_S = 0.5
"""Seconds for which a look at the file is good: so soon a key counts, or counts no more."""


class Keyring:
    """The keys of a file, which may change at any time.

    A file that is gone holds no keys. One that cannot be read, or is no file of keys, is logged,
    and those that were read last still count: an editor's mistake shuts no PACS out. It is
    tried again at each look, until it can be read: the change may withdraw a key.

    Parameters
    ----------
    path
        The file.
    clock
        Seconds, monotonic.

    Raises
    ------
    KeysFileError
        It cannot be read at the start, or is no file of keys.
    FileNotFoundError
        It is not there at the start.
    """

    def __init__(self, path: Path, clock: Callable[[], float] = time.monotonic) -> None:
        self._path, self._clock = path, clock
        # Before the keys are read: a change in between is seen at the next look.
        self._watch = FileWatch((path,))
        self._keys = read_keys(path)
        self._looked_at = clock()
        self._fault = ""

    def __len__(self) -> int:
        return len(self._keys)

    def find(self, secret: str) -> ApiKey | None:
        """Return what is known of a key; None where it is none of ours.

        Every key is compared, each in constant time, so that the time that this takes says nothing
        of any of them.
        """
        self._look()
        digest, found = digest_of(secret), None
        for key in self._keys:
            if hmac.compare_digest(key.digest, digest):
                found = key
        return found

    def _look(self) -> None:
        now = self._clock()
        if now - self._looked_at < LOOK_S:
            return
        self._looked_at = now
        look = self._watch.look()
        if not look.is_due:
            return
        before, self._fault = self._fault, ""
        try:
            self._keys = read_keys(self._path)
        except FileNotFoundError:
            self._keys, self._fault = (), "gone"
            if look.has_changed:
                log.error("keys-file-gone")
        except KeysFileError as error:
            self._fault = str(error)
            if look.has_changed or self._fault != before:
                log.error("keys-file-broken", reason=self._fault)
        else:
            if look.has_changed or before:
                log.info("keys-read", keys=len(self._keys))
        if self._fault:
            self._watch.mark_unread()
