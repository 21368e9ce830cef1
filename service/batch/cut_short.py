"""Whether a result file breaks off, as one may after power that failed, or is whole.

What a result file holds, and was not written by a run, is somebody's correction if it is whole: a
viewer that saves a mask saves all of it. Sizes do not tell: a corrected mask may be shorter.
"""

import json
from pathlib import Path

from service.errors import MammosegError
from service.imaging.dicom import parse

_PNG_START, _PNG_END = b"\x89PNG\r\n\x1a\n", b"IEND\xaeB`\x82"
_DICOM_START = bytes(128) + b"DICM"
_ITEMS_END = bytes.fromhex("feffdde000000000")
"""Sequence Delimitation Item, which ends encapsulated pixel data (PS3.5 A.4)."""


def is_lost(path: Path, size: int) -> bool:
    """Say whether a result that was written with this size is gone, or breaks off.

    It is read only where it is smaller.
    """
    try:
        there = path.stat().st_size
        return there < size and is_cut_short(path.read_bytes())
    except OSError:
        return True


def is_cut_short(content: bytes) -> bool:
    """Say whether JSON, PNG or a DICOM file breaks off, or has nothing but zeros; else False."""
    if not content.strip(b"\0"):
        return True
    if _PNG_START.startswith(content[: len(_PNG_START)]):
        return not content.endswith(_PNG_END)
    if _DICOM_START.startswith(content[: len(_DICOM_START)]):
        return _dicom_breaks_off(content)
    return content.startswith(b"{") and _json_breaks_off(content)


def _dicom_breaks_off(content: bytes) -> bool:
    try:
        file = parse(content, len(content))
    except MammosegError:
        return True
    if file.truncated or file.pixel_offset is None:
        # Between two elements nothing tells; a block of the disk seldom ends there.
        return file.truncated
    if file.pixel_length is None:
        return _ITEMS_END not in bytes(file.pixel_data)
    return file.pixel_offset + file.pixel_length > len(file.body)


def _json_breaks_off(content: bytes) -> bool:
    # A character may be cut in two.
    text = content.decode("utf-8", "replace").rstrip()
    try:
        json.loads(text)
    except json.JSONDecodeError as error:
        # Each value has a line: what is wrong further up was written so, by hand.
        return "\n" not in text[error.pos :]
    return False
