"""A file taken all the way to stored values, and the names of the compressed syntaxes."""

from service.imaging.admission import admit
from service.imaging.decode import read_codes
from service.imaging.dicom import parse
from service.imaging.photometry import stored_values

JPEG_BASELINE, JPEG_EXTENDED = "1.2.840.10008.1.2.4.50", "1.2.840.10008.1.2.4.51"
JPEG_LOSSLESS, JPEG_LOSSLESS_SV1 = "1.2.840.10008.1.2.4.57", "1.2.840.10008.1.2.4.70"
JPEG_LS, JPEG_LS_NEAR = "1.2.840.10008.1.2.4.80", "1.2.840.10008.1.2.4.81"
JPEG_2000_LOSSLESS, JPEG_2000 = "1.2.840.10008.1.2.4.90", "1.2.840.10008.1.2.4.91"
HTJ2K_LOSSLESS, HTJ2K_RPCL = "1.2.840.10008.1.2.4.201", "1.2.840.10008.1.2.4.202"
HTJ2K = "1.2.840.10008.1.2.4.203"


def decoded(body, *, sandboxed=False, half=False):
    file = parse(body, 2**28)
    layout = admit(file, 10**6, frozenset({"MG"}))
    codes, layout = read_codes(file, layout, sandboxed=sandboxed, half=half)
    return stored_values(layout, codes.dtype.itemsize)[codes]
