"""Small PNG, JPEG and TIFF files, read or refused."""

import io

import numpy as np
import pytest
from PIL import Image

from service.errors import MammosegError
from service.imaging.limits import ReadLimits
from service.imaging.rasters import read_raster_file
from tests.dicom_files import phantom

GREY = (phantom(8) // 2).astype(np.uint8)
DEEP = phantom(16).astype(np.uint16)


def file_of(image, kind="PNG", **options):
    if isinstance(image, np.ndarray):
        image = Image.fromarray(image)
    sink = io.BytesIO()
    image.save(sink, kind, **options)
    return sink.getvalue()


def read(body, kind="png", max_pixels=10**6, frame=None):
    mammogram = read_raster_file(body, kind, ReadLimits(max_pixels), frame)
    assert mammogram.frame == frame
    assert mammogram.pixels.dtype == np.uint16
    assert mammogram.pixels.flags.c_contiguous
    assert mammogram.pixel_spacing_mm is None
    assert mammogram.intent == "unstated"
    return mammogram.pixels, [caveat.code for caveat in mammogram.caveats]


def refusal(body, kind="png", max_pixels=10**6, frame=None):
    with pytest.raises(MammosegError) as caught:
        read_raster_file(body, kind, ReadLimits(max_pixels), frame)
    return caught.value.status, caught.value.code


def rgb(grey):
    return np.dstack([grey, grey, grey])
