"""A file taken all the way to stored values."""

from service.imaging.admission import admit
from service.imaging.codecs.codec import DecodeOptions
from service.imaging.decode import read_codes
from service.imaging.dicom import parse
from service.imaging.photometry import stored_values


def decoded(body, *, sandboxed=False, half=False):
    file = parse(body, 2**28)
    layout = admit(file, 10**6, frozenset({"MG"}))
    codes, layout = read_codes(file, layout, 1, DecodeOptions(sandboxed, half))
    return stored_values(layout, codes.dtype.itemsize)[codes]
