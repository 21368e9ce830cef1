"""Files that are there whole or not at all."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def whole_file(path: Path) -> Iterator[Path]:
    """Yield the path of a file to write, which takes the place of `path` at the end.

    It lies beside `path` and has its suffix. After an error it is deleted, and `path` is as it was.
    """
    partial = path.with_suffix(f".part{path.suffix}")
    try:
        yield partial
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)
