"""What may be sent: a path, bytes, an open file, an array, or a dataset of pydicom."""

import io
import os
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray
from PIL import Image as Pillow


class _Readable(Protocol):
    def read(self) -> bytes: ...


class _Dataset(Protocol):
    def save_as(self, filename: Any, /, *, enforce_file_format: bool) -> None: ...


ImageFile = str | os.PathLike[str] | bytes | _Readable | NDArray[Any] | _Dataset
"""A DICOM, PNG, JPEG or TIFF file by its path, as its bytes, or opened; a grey image, uint8 or
uint16, shape (rows, columns); or a dataset of pydicom."""


def read_file(file: ImageFile) -> bytes:
    """Return the bytes of a file to send.

    Raises
    ------
    TypeError
        It is none of `ImageFile`.
    ValueError
        An array that is no grey image of 8 or 16 bits.
    OSError
        The file cannot be read.
    """
    if isinstance(file, bytes | bytearray | memoryview):
        return bytes(file)
    if isinstance(file, np.ndarray):
        return _png(file)
    if isinstance(file, str | os.PathLike):
        return Path(file).read_bytes()
    if hasattr(file, "save_as"):
        buffer = io.BytesIO()
        file.save_as(buffer, enforce_file_format=True)
        return buffer.getvalue()
    if hasattr(file, "read"):
        content = file.read()
        if isinstance(content, bytes):
            return content
        raise TypeError("a file must be opened to read bytes, not text")
    raise TypeError("a path, bytes, an open file, an array or a dataset of pydicom is needed")


def _png(pixels: NDArray[Any]) -> bytes:
    if pixels.ndim != 2 or pixels.dtype not in (np.uint8, np.uint16):
        raise ValueError("an array must be uint8 or uint16, shape (rows, columns)")
    buffer = io.BytesIO()
    Pillow.fromarray(np.ascontiguousarray(pixels)).save(buffer, "PNG", compress_level=1)
    return buffer.getvalue()
