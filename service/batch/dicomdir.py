"""A DICOMDIR (PS3.3 annex F): which image files it names, as a disc or a PACS export has it."""

import os
import stat
from collections.abc import Iterator, Sequence
from pathlib import Path

from pydicom.dataset import Dataset

from service.errors import TooLarge, UnreadableImage, foreign_errors_as
from service.imaging import elements
from service.imaging.dicom import parse

MAX_BYTES = 32 * 2**20
"""Of a DICOMDIR: some ten thousand images."""

MEDIA_STORAGE_DIRECTORY = "1.2.840.10008.1.3.10"

INACTIVE = 0
"""Record In-use Flag (0004,1410) of an image that was taken off the disc (PS3.3 F.3.2.2)."""

_NEXT, _LOWER = "OffsetOfTheNextDirectoryRecord", "OffsetOfReferencedLowerLevelDirectoryEntity"

MAX_COMPONENTS = 8
"""Of a Referenced File ID (PS3.10 8.2)."""


def is_dicomdir(path: Path) -> bool:
    """Say whether a file is a DICOMDIR, by its name (PS3.10 8.6) or its SOP class."""
    if path.name.upper() == "DICOMDIR":
        return True
    if not stat.S_ISREG(path.stat().st_mode):
        return False
    with path.open("rb") as file:
        head = file.read(1024)
    # Of an even length, so the next element of group 2 follows at once.
    uid = MEDIA_STORAGE_DIRECTORY.encode() + b"\x02\0"
    return head[128:132] == b"DICM" and uid in head


def referenced_files(path: Path) -> Iterator[tuple[Path | None, str]]:
    """Yield the image files that a DICOMDIR names, in its order, and how it names them.

    None stands for a file that is not there, or lies outside of the DICOMDIR's folder. Names are
    found as they are, else in any case, or with the dot and version of ISO 9660: discs are mounted
    in each. An image whose record is inactive, or one above it, is left out.

    Raises
    ------
    MammosegError
        It is none that can be read.
    OSError
        It cannot be opened.
    """
    with path.open("rb") as file:
        body = file.read(MAX_BYTES + 1)
    if len(body) > MAX_BYTES:
        raise TooLarge("body-too-large", f"The DICOMDIR is over {MAX_BYTES >> 20} MiB.")
    with foreign_errors_as(UnreadableImage("dicom-unreadable", "The DICOMDIR cannot be read.")):
        dataset = parse(body, MAX_BYTES).dataset
        # Longer than any sequence in an image: the file's size bounds it.
        records = tuple(dataset.get("DirectoryRecordSequence") or ())
        named = [
            elements.texts(record, "ReferencedFileID")
            for record in _active(records)
            if elements.text(record, "DirectoryRecordType") == "IMAGE"
        ]
    for components in named:
        shown = "/".join(components) or "no file"
        yield _found(path.parent, components), shown


def _active(records: Sequence[Dataset]) -> Iterator[Dataset]:
    """Yield the records that are in use, as are all above them.

    Of a hierarchy (PS3.3 F.2.2) that is written as a list; where a record stands in the file, by
    which others refer to it, pydicom says.
    """
    at = {getattr(record, "seq_item_tell", None): record for record in records}
    off = {id(record) for record in records if _is_inactive(record)}
    below: set[int] = set()
    waiting = [_referred(record, _LOWER) for record in records if id(record) in off]
    while waiting:
        offset = waiting.pop()
        # Each once: references may go round.
        if offset in below or offset not in at:
            continue
        below.add(offset)
        waiting += [_referred(at[offset], _NEXT), _referred(at[offset], _LOWER)]
    off |= {id(at[offset]) for offset in below}
    return (record for record in records if id(record) not in off)


def _is_inactive(record: Dataset) -> bool:
    return elements.integer(record, "RecordInUseFlag") == INACTIVE


def _referred(record: Dataset, keyword: str) -> int:
    return elements.integer(record, keyword) or 0


def _found(folder: Path, components: tuple[str, ...]) -> Path | None:
    if not 1 <= len(components) <= MAX_COMPONENTS:
        return None
    path = folder
    for component in components:
        # Whoever wrote the disc must not choose a file of this machine.
        if component in ("", ".", "..") or "/" in component or "\\" in component:
            return None
        step = _entry(path, component)
        if step is None:
            return None
        path = step
    inside = path.resolve().is_relative_to(folder.resolve())
    return path if inside and path.is_file() else None


def _entry(folder: Path, name: str) -> Path | None:
    """Return an entry of a folder by its name, in any case."""
    if (folder / name).exists():
        return folder / name
    try:
        entries = sorted(os.listdir(folder))
    except OSError:
        return None
    # ISO 9660 writes `IM1` as `IM1.;1`: a dot where there is no extension, and a version.
    alike = (one for one in entries if one.split(";")[0].rstrip(".").casefold() == name.casefold())
    return next((folder / one for one in alike), None)
