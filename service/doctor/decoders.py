"""Whether a reader decodes each compressed transfer syntax: a drawn image, there and back."""

from io import BytesIO

import imagecodecs
import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.encaps import encapsulate
from pydicom.filewriter import dcmwrite
from pydicom.uid import UID, ExplicitVRLittleEndian

from service.doctor.check import Check, mend, well
from service.errors import MammosegError, Overloaded, TooLarge, UnsuitableImage
from service.imaging.codecs.codec import Codec
from service.imaging.codecs.registry import CODECS
from service.reading.reader import Reader, ReadRequest

MAMMOGRAPHY_FOR_PRESENTATION = "1.2.840.10008.5.1.4.1.1.1.2"
SIDE = 64

ADVICE = "install the packages of requirements/cpu.txt or gpu.txt again, by their hashes"


def decoders_check(reader: Reader, modality: str = "MG") -> Check:
    """Have an image read uncompressed and in every compressed transfer syntax: all are alike.

    Parameters
    ----------
    modality
        One that the reader accepts.
    """
    y, x = np.mgrid[:SIDE, :SIDE]
    codes = (x * 900 + y * 61).astype(np.uint16)
    try:
        plain = reader.read(ReadRequest(dicom(codes, None, modality), "dicom"))
    except MammosegError as error:
        return mend("decoders", f"uncompressed: {error.code}", _advice(error))
    failed = {
        codec.name: why
        for codec in CODECS
        if (why := _fails(reader, codes, plain.pixels, codec, modality)) is not None
    }
    if failed:
        said = ", ".join(f"{name}: {why}" for name, why in failed.items())
        return mend("decoders", said, ADVICE)
    names = ", ".join(codec.name for codec in CODECS)
    return well("decoders", f"{names}, by imagecodecs {imagecodecs.__version__}")


def _advice(error: MammosegError) -> str:
    """Say what ails an image that no decoder has seen yet."""
    if isinstance(error, Overloaded):
        return "no process could read it: see MEMORY_MIB and READERS in docs/settings.md"
    if isinstance(error, UnsuitableImage | TooLarge):
        return "a setting refuses it: see ACCEPT_MODALITIES and MAX_MEGAPIXELS in docs/settings.md"
    return ADVICE


def _fails(
    reader: Reader,
    codes: NDArray[np.uint16],
    plain: NDArray[np.uint16],
    codec: Codec,
    modality: str,
) -> str | None:
    try:
        read = reader.read(ReadRequest(dicom(codes, codec, modality), "dicom")).pixels
    except MammosegError as error:
        return error.code
    except Exception as error:
        # The encoder is of the same library as the decoder.
        return type(error).__name__
    return None if np.array_equal(read, plain) else "another image"


def dicom(codes: NDArray[np.uint16], codec: Codec | None, modality: str = "MG") -> bytes:
    """Return a small mammogram of 16 bits as a DICOM file, not compressed where `codec` is None.

    Parameters
    ----------
    codes
        Shape (rows, columns).
    modality
        What its header says.
    """
    dataset = Dataset()
    dataset.SOPClassUID, dataset.SOPInstanceUID = MAMMOGRAPHY_FOR_PRESENTATION, "2.25.1"
    dataset.Modality, dataset.PresentationIntentType = modality, "FOR PRESENTATION"
    dataset.Rows, dataset.Columns = codes.shape
    dataset.SamplesPerPixel, dataset.PhotometricInterpretation = 1, "MONOCHROME2"
    dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit = 16, 16, 15
    dataset.PixelRepresentation = 0
    dataset.PixelData = codes.tobytes() if codec is None else encapsulate([codec.encode(codes)])
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = (
        ExplicitVRLittleEndian if codec is None else UID(codec.lossless[0])
    )
    dataset.file_meta.MediaStorageSOPClassUID = dataset.SOPClassUID
    dataset.file_meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID
    file = BytesIO()
    dcmwrite(file, dataset, enforce_file_format=True)
    return file.getvalue()
