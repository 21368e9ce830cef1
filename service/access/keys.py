"""API keys: how they are made, what is kept of them, and the file that keeps it."""

import fcntl
import hashlib
import json
import os
import re
import secrets
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from service.access.scopes import Scope
from service.errors import StartupError
from service.system.durable import sync_folder
from service.system.passing import may_pass

PREFIX = "mammoseg_"
"""Of every key, so that people and scanners for secrets see what it is."""

SECRET_BYTES = 32
"""Random bytes of a key. Nobody guesses 256 bits, so a fast hash keeps them as well as a slow one,
which would let anybody keep our processor busy."""

MAX_KEYS = 1000
MAX_FILE_BYTES = 2**20

NAME_PATTERN = r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$"


@dataclass(frozen=True, slots=True)
class ApiKey:
    """What is known of a key; never the key itself.

    Attributes
    ----------
    name
        What logs call it.
    digest
        SHA-256 of the key, 32 bytes.
    scopes
        What it may be used for.
    created
        When it was made.
    """

    name: str
    digest: bytes
    scopes: frozenset[Scope]
    created: date


class KeysFileError(StartupError):
    """The file of keys cannot be read or is not one; the message holds nothing of a key."""


class _Entry(BaseModel):
    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)

    name: Annotated[str, Field(pattern=NAME_PATTERN)]
    sha256: Annotated[str, Field(pattern="^[0-9a-f]{64}$")]
    scopes: Annotated[list[Scope], Field(min_length=1)]
    created: date


class _File(BaseModel):
    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)

    version: Literal[1]
    keys: Annotated[list[_Entry], Field(max_length=MAX_KEYS)]


def make_key() -> str:
    """Return a new key."""
    return PREFIX + secrets.token_urlsafe(SECRET_BYTES)


def digest_of(key: str) -> bytes:
    """Return what is kept of a key: its SHA-256, 32 bytes."""
    return hashlib.sha256(key.encode()).digest()


def is_name(text: str) -> bool:
    """Tell whether a key may be called so."""
    return re.match(NAME_PATTERN, text) is not None and not text.endswith("\n")


def read_keys(path: Path) -> tuple[ApiKey, ...]:
    """Return the keys that a file holds.

    Raises
    ------
    KeysFileError
        It cannot be read, or is no file of keys.
    FileNotFoundError
        It is not there.
    """
    try:
        with path.open("rb") as file:
            text = file.read(MAX_FILE_BYTES + 1)
    except FileNotFoundError:
        raise
    except OSError as error:
        reason = f"the keys file cannot be read: {error.strerror}"
        raise KeysFileError(reason, may_pass=may_pass(error)) from None
    if len(text) > MAX_FILE_BYTES:
        raise KeysFileError("the keys file is too large")
    return _parse(text)


def _parse(text: bytes) -> tuple[ApiKey, ...]:
    try:
        entries = _File.model_validate_json(text).keys
    except ValidationError as error:
        fault = error.errors(include_input=False, include_url=False, include_context=False)[0]
        where = ".".join(map(str, fault["loc"])) or "its text"
        raise KeysFileError(f"the keys file is not valid at {where}") from None
    if len({entry.name for entry in entries}) < len(entries):
        raise KeysFileError("the keys file names one key twice")
    return tuple(
        ApiKey(entry.name, bytes.fromhex(entry.sha256), frozenset(entry.scopes), entry.created)
        for entry in entries
    )


@contextmanager
def changing_keys(path: Path) -> Iterator[list[ApiKey]]:
    """Change a file of keys in the context, through the list that it yields; nobody else does then.

    The file is replaced as a whole when the context ends without an error, and has the owner and
    the mode that it had; a new one has the owner of its folder, who alone may read it.

    Raises
    ------
    KeysFileError
        It cannot be read or written, or is no file of keys.
    """
    path = Path(os.path.realpath(path))
    with _locked(path.parent):
        try:
            keys, state = list(read_keys(path)), path.stat()
        except FileNotFoundError:
            keys, state = [], None
        yield keys
        if len(keys) > MAX_KEYS:
            raise KeysFileError(f"a keys file holds at most {MAX_KEYS} keys")
        try:
            _replace(path, _text(keys), state)
        except OSError as error:
            raise KeysFileError(f"the keys file cannot be written: {error.strerror}") from None


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    try:
        lock = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    except OSError as error:
        raise KeysFileError(f"the keys file's folder: {error.strerror}") from None
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
    finally:
        os.close(lock)


def _text(keys: Sequence[ApiKey]) -> bytes:
    entries = [
        {
            "name": key.name,
            "sha256": key.digest.hex(),
            "scopes": sorted(key.scopes),
            "created": key.created.isoformat(),
        }
        for key in keys
    ]
    return json.dumps({"version": 1, "keys": entries}, indent=2).encode() + b"\n"


def _replace(path: Path, text: bytes, state: os.stat_result | None) -> None:
    owner = state or path.parent.stat()
    handle, temporary = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    try:
        with os.fdopen(handle, "wb") as file:
            if os.geteuid() == 0:
                os.fchown(file.fileno(), owner.st_uid, owner.st_gid)
            os.fchmod(file.fileno(), 0o600 if state is None else state.st_mode & 0o777)
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except BaseException:
        with suppress(OSError):
            os.unlink(temporary)
        raise
    sync_folder(path.parent)
