"""What a worker prints: nothing, whatever the decoders in it complain of."""

import struct
import subprocess
import sys
import zlib

import cv2
import numpy as np
import pytest

from service.capacity.plan import MIN_READER_MIB
from service.imaging.rasters import read_raster_file
from service.imaging.reader import ReadLimits
from service.reading.options import ReaderOptions
from service.reading.pool import ReaderPool
from service.reading.reader import ReadRequest

pytestmark = pytest.mark.integration


def complained_of() -> bytes:
    """Return a PNG that holds more pixels than it needs, which libpng mentions."""
    png = bytes(cv2.imencode(".png", np.zeros((9, 9), np.uint8))[1])
    at = png.index(b"IDAT")
    content = b"IDAT" + zlib.compress(bytes(5000))
    chunk = struct.pack(">L", len(content) - 4) + content + struct.pack(">L", zlib.crc32(content))
    return png[: at - 4] + chunk + png[png.index(b"IEND") - 4 :]


def test_what_decoders_complain_of_is_not_printed(
    capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    read_raster_file(complained_of(), "png", ReadLimits())
    assert "PNG" in caplog.text
    capfd.readouterr()
    readers = ReaderPool(
        ReaderOptions(1, ReadLimits(), MIN_READER_MIB, deadline_s=60)
    ).wait_until_ready()
    try:
        readers.read(ReadRequest(complained_of(), "png"))
    finally:
        readers.close()
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize(
    ("first", "is_there"),
    [("service.reading.worker", False), ("pydicom", True)],
)
def test_a_reader_holds_nothing_that_downloads(first: str, is_there: bool) -> None:
    """Though it is installed, pydicom alone would bring it, and it can be had later."""
    code = f"import sys, {first}; print('requests' in sys.modules); import requests"
    said = subprocess.check_output([sys.executable, "-I", "-c", code], text=True)
    assert said.strip() == str(is_there)
