"""Whether a reader decodes each compressed transfer syntax: a drawn image, there and back."""

from collections.abc import Callable
from io import BytesIO

import imagecodecs
import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.encaps import encapsulate
from pydicom.filewriter import dcmwrite
from pydicom.pixels.encoders.base import get_encoder
from pydicom.uid import (
    UID,
    ExplicitVRLittleEndian,
    HTJ2KLossless,
    JPEG2000Lossless,
    JPEGLosslessSV1,
    JPEGLSLossless,
    RLELossless,
)

from service.doctor.check import Check, mend, well
from service.errors import MammosegError
from service.reading.reader import Reader, ReadRequest

Encoder = Callable[[NDArray[np.uint16]], bytes | bytearray]


def _rle(codes: NDArray[np.uint16]) -> bytes | bytearray:
    """Encode by pydicom: imagecodecs decodes RLE alone."""
    rows, columns = codes.shape
    return get_encoder(RLELossless).encode(
        codes,
        rows=rows,
        columns=columns,
        samples_per_pixel=1,
        number_of_frames=1,
        bits_allocated=16,
        bits_stored=16,
        pixel_representation=0,
        photometric_interpretation="MONOCHROME2",
    )


SYNTAXES: dict[str, tuple[str, Encoder]] = {
    "JPEG": (JPEGLosslessSV1, lambda codes: imagecodecs.ljpeg_encode(codes, bitspersample=16)),
    "JPEG-LS": (JPEGLSLossless, imagecodecs.jpegls_encode),
    "JPEG 2000": (
        JPEG2000Lossless,
        lambda codes: imagecodecs.jpeg2k_encode(codes, codecformat="j2k", reversible=True),
    ),
    "HTJ2K": (HTJ2KLossless, lambda codes: imagecodecs.htj2k_encode(codes, reversible=True)),
    "RLE": (RLELossless, _rle),
}
"""By what people call them: a transfer syntax, and what encodes an image in it."""

MAMMOGRAPHY_FOR_PRESENTATION = "1.2.840.10008.5.1.4.1.1.1.2"
SIDE = 64

ADVICE = "install the packages of requirements/cpu.txt or gpu.txt again, by their hashes"


def decoders_check(reader: Reader) -> Check:
    """Have an image read uncompressed and in every compressed transfer syntax: all are alike."""
    y, x = np.mgrid[:SIDE, :SIDE]
    codes = (x * 900 + y * 61).astype(np.uint16)
    try:
        plain = reader.read(ReadRequest(dicom(codes, ExplicitVRLittleEndian, None), "dicom"))
    except MammosegError as error:
        return mend("decoders", f"uncompressed: {error.code}", ADVICE)
    failed = {
        name: why
        for name, (syntax, encode) in SYNTAXES.items()
        if (why := _fails(reader, codes, plain.pixels, syntax, encode)) is not None
    }
    if failed:
        said = ", ".join(f"{name}: {why}" for name, why in failed.items())
        return mend("decoders", said, ADVICE)
    return well("decoders", f"{', '.join(SYNTAXES)}, by imagecodecs {imagecodecs.__version__}")


def _fails(
    reader: Reader,
    codes: NDArray[np.uint16],
    plain: NDArray[np.uint16],
    syntax: str,
    encode: Encoder,
) -> str | None:
    try:
        read = reader.read(ReadRequest(dicom(codes, syntax, encode), "dicom")).pixels
    except MammosegError as error:
        return error.code
    except Exception as error:
        # The encoder is of the same library as the decoder.
        return type(error).__name__
    return None if np.array_equal(read, plain) else "another image"


def dicom(codes: NDArray[np.uint16], syntax: str, encode: Encoder | None) -> bytes:
    """Return a small mammogram of 16 bits as a DICOM file; `codes`: shape (rows, columns)."""
    dataset = Dataset()
    dataset.SOPClassUID, dataset.SOPInstanceUID = MAMMOGRAPHY_FOR_PRESENTATION, "2.25.1"
    dataset.Modality, dataset.PresentationIntentType = "MG", "FOR PRESENTATION"
    dataset.Rows, dataset.Columns = codes.shape
    dataset.SamplesPerPixel, dataset.PhotometricInterpretation = 1, "MONOCHROME2"
    dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit = 16, 16, 15
    dataset.PixelRepresentation = 0
    dataset.PixelData = codes.tobytes() if encode is None else encapsulate([bytes(encode(codes))])
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = UID(syntax)
    dataset.file_meta.MediaStorageSOPClassUID = dataset.SOPClassUID
    dataset.file_meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID
    file = BytesIO()
    dcmwrite(file, dataset, enforce_file_format=True)
    return file.getvalue()
