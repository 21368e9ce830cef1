"""From what the command line names to the files that are read, and what their results are called.

A file that is named is read, whatever it is, and refused by name. Of a folder or a DICOMDIR only
what looks like an image is taken.
"""

import glob
import os
import stat
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from service.batch.dicomdir import is_dicomdir, referenced_files
from service.errors import MammosegError
from service.imaging.reader import SNIFFED_BYTES, sniff

SUFFIXES = frozenset((".dcm", ".dicom", ".ima", ".png", ".jpg", ".jpeg", ".tif", ".tiff"))
"""What is left out of a result's name; in `1.2.840.4711` the last part is none."""


@dataclass(frozen=True, slots=True)
class Source:
    """A file that is to be read.

    Attributes
    ----------
    path
        Absolute.
    name
        Of its results, relative to their folder, without a suffix; "/" between folders.
    is_named
        The caller named the file itself: whatever is wrong with it is a fault.
    """

    path: Path
    name: str
    is_named: bool


@dataclass(slots=True)
class Found:
    """What was found.

    Attributes
    ----------
    sources
        In the order of the arguments, those of a folder by name; none twice.
    others
        Files in folders that are no images.
    faults
        What cannot be read at all, a sentence each.
    """

    sources: list[Source] = field(default_factory=list)
    others: int = 0
    faults: list[str] = field(default_factory=list)


def find(arguments: Sequence[str], out: Path) -> Found:
    """Find the files that arguments name.

    Parameters
    ----------
    arguments
        Files, folders, patterns as of a shell (`**` for folders within folders), DICOMDIRs.
    out
        The folder of the results, in which nothing is looked for.
    """
    found = Found()
    for path in _expanded(arguments, found):
        try:
            if path.is_dir() and identity(path) == identity(out):
                found.faults.append(f"{path}: is --out itself, where results lie; name another")
            elif path.is_dir():
                _take_folder(path, out, found)
            elif is_dicomdir(path):
                _take_dicomdir(path, found)
            else:
                found.sources.append(_source(path, path.parent, is_named=True))
        except MammosegError as error:
            found.faults.append(f"{path}: {error.detail}")
        except OSError as error:
            found.faults.append(f"{path}: {error.strerror}")
    found.sources = _named_apart(_once(found.sources))
    return found


def _expanded(arguments: Iterable[str], found: Found) -> Iterator[Path]:
    """Yield what the arguments name, patterns expanded; absolute, links kept."""
    for argument in arguments:
        if os.path.lexists(argument):
            yield Path(os.path.abspath(argument))
        elif matches := sorted(glob.glob(argument, recursive=True)):
            yield from (Path(os.path.abspath(match)) for match in matches)
        elif glob.has_magic(argument):
            found.faults.append(f"{argument}: no file matches")
        else:
            found.faults.append(f"{argument}: there is no such file or folder")


def _take_folder(folder: Path, out: Path, found: Found) -> None:
    # Its own name is part of theirs: the same whatever else is named.
    root = folder.parent
    for path in _files_below(folder, out, found):
        try:
            with path.open("rb") as file:
                is_image = sniff(file.read(SNIFFED_BYTES)) is not None
        except OSError:
            # What cannot be opened is said when it is its turn.
            is_image = True
        if is_image:
            found.sources.append(_source(path, root, is_named=False))
        else:
            found.others += 1


def _files_below(folder: Path, out: Path, found: Found) -> Iterator[Path]:
    """Yield the regular files of a folder and of those in it, by name; hidden ones left out."""

    def unreadable(error: OSError) -> None:
        found.faults.append(f"{error.filename}: {error.strerror}")

    been: set[tuple[int, int]] = set()
    results = identity(out)
    for top, folders, names in os.walk(folder, onerror=unreadable, followlinks=True):
        here = identity(Path(top))
        # A link may lead back up.
        if here in been or (here == results and here is not None):
            folders.clear()
            continue
        been.update(() if here is None else (here,))
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted(names):
            path = Path(top, name)
            if name.startswith(".") or name.upper() == "DICOMDIR":
                continue
            try:
                is_regular = stat.S_ISREG(path.stat().st_mode)
            except OSError:
                is_regular = False
            if is_regular:
                yield path
            else:
                found.others += 1


def identity(path: Path) -> tuple[int, int] | None:
    """Return what tells a file from all others, links followed; None where none is there."""
    try:
        told = path.stat()
    except OSError:
        return None
    return told.st_dev, told.st_ino


def _take_dicomdir(path: Path, found: Found) -> None:
    for file, shown in referenced_files(path):
        if file is None:
            found.faults.append(f"{path}: names {shown}, which is not there")
        else:
            found.sources.append(_source(file, path.parent.parent, is_named=False))


def _source(path: Path, root: Path, *, is_named: bool) -> Source:
    return Source(path, _without_suffix(path.relative_to(root)).as_posix(), is_named)


def _without_suffix(path: Path) -> Path:
    return path.with_suffix("") if path.suffix.lower() in SUFFIXES else path


def _once(sources: Iterable[Source]) -> list[Source]:
    """Leave out what was named twice; what is named at all counts as named."""
    kept: dict[Path, Source] = {}
    for source in sources:
        first = kept.setdefault(source.path, source)
        if source.is_named and not first.is_named:
            kept[source.path] = replace(first, is_named=True)
    return list(kept.values())


def _named_apart(sources: list[Source]) -> list[Source]:
    """Give results whose names would be the same their sources' whole names.

    Names are compared as file systems do that fold case.
    """
    for whole in (False, True):
        counts = Counter(source.name.casefold() for source in sources)
        if max(counts.values(), default=0) < 2:
            break
        common = Path(os.path.commonpath([source.path.parent for source in sources]))
        sources = [
            replace(source, name=source.path.relative_to(common).as_posix())
            if whole or counts[source.name.casefold()] > 1
            else source
            for source in sources
        ]
    return sources
