"""`mammoseg keys`: make API keys, list them, withdraw them; a running service soon sees it."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from service.access.keys import (
    ApiKey,
    KeysFileError,
    changing_keys,
    digest_of,
    is_name,
    make_key,
    read_keys,
)
from service.access.scopes import Scope
from service.comma_list import comma_list
from service.terminal import console, fail, stderr

app = typer.Typer(
    help="Make, list and withdraw API keys.", no_args_is_help=True, add_completion=False
)

File = Annotated[
    Path, typer.Option(envvar="MAMMOSEG_KEYS_FILE", help="The file of keys; made where it is not.")
]


@app.command()
def add(
    name: Annotated[str, typer.Argument(help="What logs are to call it.")],
    file: File,
    scopes: Annotated[
        str, typer.Option(help=f"Separated by commas: {', '.join(Scope)}.")
    ] = Scope.SEGMENT.value,
) -> None:
    """Make a key and print it: this once, since only its hash is kept."""
    words = set(comma_list(scopes))
    if not words or not words <= set(Scope):
        fail(f"--scopes takes some of {', '.join(Scope)}")
    if not is_name(name):
        fail("a name is up to 64 letters, digits, dots, hyphens and underscores")
    secret = make_key()
    held = frozenset(Scope(word) for word in words)
    try:
        with changing_keys(file) as keys:
            if any(key.name == name for key in keys):
                fail(f"there is a key {name} already; remove it first")
            keys.append(ApiKey(name, digest_of(secret), held, datetime.now(UTC).date()))
    except KeysFileError as error:
        fail(error)
    try:
        stderr.print(
            f"{name} may {', '.join(sorted(held))}. The key, shown only now:", markup=False
        )
        console.print(secret, markup=False, highlight=False, soft_wrap=True)
        console.file.flush()
    except OSError:
        # A key that nobody saw must not stay; how the command ends is said as ever.
        _take_back(file, digest_of(secret))
        raise


def _take_back(file: Path, digest: bytes) -> None:
    try:
        with changing_keys(file) as keys:
            keys[:] = [key for key in keys if key.digest != digest]
    except KeysFileError as error:
        stderr.print(f"The key was not shown, and is in the file: {error}", markup=False)


@app.command("list")
def list_keys(file: File) -> None:
    """List the keys: name, scopes, the day on which each was made."""
    try:
        keys = read_keys(file)
    except (KeysFileError, FileNotFoundError) as error:
        fail(str(error) if isinstance(error, KeysFileError) else f"there is no {file}")
    for key in keys:
        line = f"{key.name}\t{','.join(sorted(key.scopes))}\t{key.created}"
        console.print(line, markup=False, highlight=False, soft_wrap=True)


@app.command()
def remove(name: Annotated[str, typer.Argument(help="The key's name.")], file: File) -> None:
    """Withdraw a key."""
    try:
        with changing_keys(file) as keys:
            left = [key for key in keys if key.name != name]
            if len(left) == len(keys):
                fail(f"there is no key {name}")
            keys[:] = left
    except KeysFileError as error:
        fail(error)
