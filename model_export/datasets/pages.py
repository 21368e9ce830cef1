"""Picture files that hold more than one picture: a decoder reads the first and says nothing."""

from pathlib import Path

import cv2

from service.errors import MammosegError
from service.imaging.tiff import read_tags

TIFF = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
"""How a file begins, classic or big."""


def has_several_pages(path: Path) -> bool:
    """Say whether a file holds several pages or frames; those of reduced size are none.

    False where there is no such file or it is no picture: whoever decodes it says so.
    """
    if cv2.imcount(str(path)) < 2:
        return False
    body = path.read_bytes()
    if not body.startswith(TIFF):
        return True
    try:
        read_tags(body, None)
    except MammosegError as error:
        return error.code == "multi-frame"
    except Exception:  # Whatever a directory that makes no sense raises; `read_tags` says what.
        return True
    return False
