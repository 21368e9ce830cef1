"""A file taken all the way to display values."""

import numpy as np

from service.imaging.admission import admit
from service.imaging.decode import read_codes
from service.imaging.dicom import parse
from service.imaging.photometry import to_display

FULL = 65535


def shown(body):
    file = parse(body, 2**24)
    codes, layout = read_codes(file, admit(file, 10**6, frozenset({"MG"})))
    pixels, caveats = to_display(codes, layout, file.dataset)
    assert pixels.dtype == np.uint16
    assert pixels.flags.c_contiguous
    return pixels, [caveat.code for caveat in caveats]


def stretched(values, low, high):
    return np.rint(np.clip((values - low) / (high - low), 0, 1) * FULL).astype(np.uint16)
