"""The result files of one image: made of its findings, and there whole or not at all."""

import errno
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

from service.errors import MammosegError
from service.findings import Findings
from service.outputs.dicom.registry import OUTPUTS, dicom_files, picture_side
from service.outputs.files import OVERLAY_SIDE, write_whole
from service.outputs.png import mask_png, overlay_png
from service.outputs.result import result_of
from service.segmenter import SegmentOptions

CSV_NAME = "scores.csv"
"""Of all images of a run."""

OF_ONE_NAME = frozenset((errno.ENAMETOOLONG, errno.EISDIR, errno.ENOTDIR, errno.EEXIST))
"""Errors in writing that another file may not meet; after any other, no file can be written."""


class NotWritten(Exception):
    """Results cannot be written: not these, and so no others; the message says why."""


class BadName(MammosegError):
    """The name of a source makes none for its results."""


def options_for(formats: Iterable[str], options: SegmentOptions) -> SegmentOptions:
    """Return a caller's choices with no more of the findings than such results need."""
    formats = tuple(formats)
    objects = [one for one in formats if one in OUTPUTS]
    overlay = OVERLAY_SIDE if "png" in formats else 0
    side = max(overlay, picture_side(objects))
    return replace(options, picture_side=side, objects=bool(objects))


def file_names(name: str, formats: Iterable[str]) -> tuple[str, ...]:
    """Return the names of an image's result files, relative to their folder."""
    names: list[str] = []
    for one in formats:
        if one == "json":
            names.append(f"{name}.json")
        elif one == "png":
            names += [f"{name}-mask.png", f"{name}-overlay.png"]
        elif one in OUTPUTS:
            names.append(f"{name}-{one}.dcm")
    return tuple(names)


def make_files(name: str, formats: tuple[str, ...], findings: Findings) -> dict[str, bytes]:
    """Make an image's result files, by name.

    Raises
    ------
    NotAcceptable
        A DICOM result is wanted of what is no DICOM file.
    """
    kinds = tuple(one for one in formats if one in OUTPUTS)
    contents: list[bytes] = []
    if "json" in formats:
        contents.append(result_of(findings, (), 0).model_dump_json(indent=1).encode())
    if "png" in formats:
        contents += [mask_png(findings), overlay_png(findings, OVERLAY_SIDE)]
    if kinds:
        contents += dicom_files(kinds, findings)
    return dict(zip(file_names(name, formats), contents, strict=True))


def write_files(folder: Path, files: dict[str, bytes]) -> None:
    """Write files, each whole or not at all.

    Raises
    ------
    NotWritten
        The folder or the disk takes nothing more.
    BadName
        These names are not to be had.
    """
    for name, content in files.items():
        write_file(folder / name, content)


def write_file(path: Path, content: bytes) -> None:
    """Write a file, whole or not at all; raises as `write_files`."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_whole(path, content)
    except OSError as error:
        if error.errno in OF_ONE_NAME:
            raise BadName("result-name", f"Its results cannot be named: {error.strerror}") from None
        raise NotWritten(f"{path.parent} cannot be written: {error.strerror}") from None
