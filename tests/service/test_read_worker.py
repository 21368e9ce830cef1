"""What a worker prints: nothing, whatever the decoders in it complain of."""

import struct
import zlib

import cv2
import numpy as np
import pytest

from service.errors import UnreadableImage
from service.imaging.rasters import read_raster_file
from service.imaging.reader import ReadLimits
from service.memory import LEAST_READER_MIB
from service.reading import Workers

pytestmark = pytest.mark.integration


def complained_of() -> bytes:
    """Give a PNG whose pixels do not inflate, which libpng mentions."""
    png = bytes(cv2.imencode(".png", np.eye(9, dtype=np.uint8))[1])
    at = png.index(b"IDAT")
    (length,) = struct.unpack_from(">L", png, at - 4)
    content = b"IDAT" + png[at + 4 : at + 8] + b"\xff" * (length - 4)
    return png[:at] + content + struct.pack(">L", zlib.crc32(content)) + png[at + 8 + length :]


def test_what_decoders_complain_of_is_not_printed(
    capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    with pytest.raises(UnreadableImage):
        read_raster_file(complained_of(), "png", ReadLimits())
    assert "PNG" in caplog.text
    workers = Workers(count=1, limits=ReadLimits(), memory_mib=LEAST_READER_MIB, deadline_s=60)
    try:
        with pytest.raises(UnreadableImage):
            workers.read(complained_of(), "png")
    finally:
        workers.close()
    assert capfd.readouterr() == ("", "")
