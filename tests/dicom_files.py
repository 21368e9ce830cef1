"""Small DICOM files in every transfer syntax, made from stored values."""

import struct
import zlib
from io import BytesIO
from typing import Any, Literal

import imagecodecs
import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.encaps import encapsulate, encapsulate_extended
from pydicom.filewriter import dcmwrite
from pydicom.uid import UID

from service.imaging.codecs.htj2k import HTJ2K
from service.imaging.codecs.jpeg_2000 import JPEG_2000
from service.imaging.codecs.jpeg_ls import JPEG_LS
from service.imaging.transfer_syntaxes import (
    DEFLATED,
    ENCAPSULATED,
    EXPLICIT_BIG,
    EXPLICIT_LITTLE,
    IMPLICIT_LITTLE,
)
from tests.transfer_syntaxes import RLE

MAMMOGRAPHY_FOR_PRESENTATION = "1.2.840.10008.5.1.4.1.1.1.2"
TOMOSYNTHESIS = "1.2.840.10008.5.1.4.1.1.13.1.3"
SOP_INSTANCE_UID = "1.2.826.0.1.3680043.10.1.1"

Stored = NDArray[np.int32]


def phantom(bits: int = 12, *, signed: bool = False, rows: int = 72, columns: int = 56) -> Stored:
    """Make an asymmetric, breast-like half disc in `bits` bits: int32, shape (rows, columns).

    Values run from the lowest to the highest that the bits hold; a corner carries a mark.
    """
    row, column = np.mgrid[0:rows, 0:columns]
    distance = np.hypot((row - 0.55 * rows) / (0.4 * rows), column / (0.75 * columns))
    glow = np.clip(1.0 - distance, 0.0, 1.0) * (0.9 + 0.1 * np.cos(row / 5.0 + column / 7.0))
    glow[4:8, columns - 12 : columns - 4] = 1.0
    lowest = -(1 << (bits - 1)) if signed else 0
    return (lowest + np.rint(glow / glow.max() * ((1 << bits) - 1))).astype(np.int32)


def to_codes(stored: Stored, bits_allocated: int, bits_stored: int) -> NDArray[Any]:
    """Put stored values into unsigned containers, two's complement in the low bits alone."""
    mask = (1 << bits_stored) - 1
    return (stored & mask).astype(np.uint8 if bits_allocated == 8 else np.uint16)


def rle_frame(codes: NDArray[Any]) -> bytes:
    """Encode a frame as RLE (PS3.5 annex G): the most significant bytes first."""
    planes = codes.astype(f">u{codes.dtype.itemsize}").tobytes()
    segments = []
    for plane in range(codes.dtype.itemsize):
        segment = imagecodecs.packbits_encode(planes[plane :: codes.dtype.itemsize])
        segments.append(bytes(segment) + b"\0" * (len(segment) % 2))
    offsets, start = [], 64
    for segment in segments:
        offsets.append(start)
        start += len(segment)
    header = [len(segments), *offsets, *[0] * (15 - len(segments))]
    return struct.pack("<16L", *header) + b"".join(segments)


def encode(stored: Stored, syntax: str, bits_allocated: int, bits_stored: int) -> bytes:
    """Encode stored values as one frame of a compressed transfer syntax.

    Values that go below zero are written as signed samples where the format knows them, and as
    their low bits elsewhere.
    """
    codes = to_codes(stored, bits_allocated, bits_stored)
    if syntax == RLE:
        return rle_frame(codes)
    if syntax in JPEG_LS.syntaxes:
        return bytes(imagecodecs.jpegls_encode(codes, level=2 if syntax.endswith("81") else 0))
    if syntax in JPEG_2000.syntaxes | HTJ2K.syntaxes:
        samples = stored.astype(f"i{bits_allocated // 8}") if stored.min() < 0 else codes
        if syntax in HTJ2K.syntaxes:
            lossless = not syntax.endswith("203")
            return bytes(
                imagecodecs.htj2k_encode(
                    samples, level=None if lossless else 0.001, reversible=lossless
                )
            )
        lossy = (
            {"level": 60, "reversible": False} if syntax.endswith("91") else {"reversible": True}
        )
        return bytes(
            imagecodecs.jpeg2k_encode(
                samples, codecformat="J2K", bitspersample=bits_stored, numthreads=1, **lossy
            )
        )
    if syntax.endswith((".50", ".51")):
        precision = 8 if bits_allocated == 8 else 12
        return bytes(imagecodecs.jpeg8_encode(codes, level=98, bitspersample=precision))
    return bytes(
        imagecodecs.jpeg8_encode(
            codes.astype(np.uint8) if bits_stored <= 8 else codes,
            lossless=True,
            predictor=1 if syntax.endswith("70") else 6,
            bitspersample=bits_stored,
        )
    )


def dataset(
    stored: Stored | None,
    *,
    bits_stored: int = 12,
    bits_allocated: int = 16,
    signed: bool = False,
    **elements: Any,
) -> Dataset:
    """Make the dataset without pixel data; `elements` add, replace or (None) drop some."""
    made: dict[str, Any] = {
        "SOPClassUID": MAMMOGRAPHY_FOR_PRESENTATION,
        "SOPInstanceUID": SOP_INSTANCE_UID,
        "Modality": "MG",
        "PatientName": "Canary^Patient",
        "PresentationIntentType": "FOR PRESENTATION",
        "SamplesPerPixel": 1,
        "PhotometricInterpretation": "MONOCHROME2",
        "BitsAllocated": bits_allocated,
        "BitsStored": bits_stored,
        "HighBit": bits_stored - 1,
        "PixelRepresentation": int(signed),
    }
    if stored is not None:
        made |= {"Rows": stored.shape[0], "Columns": stored.shape[1]}
    made |= elements
    built = Dataset()
    for keyword, value in made.items():
        if value is not None:
            setattr(built, keyword, value)
    return built


def dicom_file(
    stored: Stored | None = None,
    *,
    syntax: str = EXPLICIT_LITTLE,
    bits_stored: int = 12,
    bits_allocated: int = 16,
    signed: bool = False,
    codes: NDArray[Any] | None = None,
    frame: bytes | None = None,
    pixel_data: bytes | None = None,
    private: tuple[int, str] | None = None,
    **elements: Any,
) -> bytes:
    """Write a mammogram.

    Parameters
    ----------
    stored
        The stored values; a phantom when None.
    codes
        Containers to write in place of those made from `stored` (native syntaxes).
    frame
        The compressed frame to write in place of one encoded from `stored`.
    pixel_data
        The whole value of Pixel Data to write, encapsulation included.
    private
        Group and creator of a private block to add.
    elements
        By keyword; None drops one.
    """
    if stored is None:
        stored = phantom(bits_stored, signed=signed)
    built = dataset(
        stored,
        bits_stored=bits_stored,
        bits_allocated=bits_allocated,
        signed=signed,
        **elements,
    )
    if private is not None:
        block = built.private_block(private[0], private[1], create=True)
        block.add_new(0x10, "LO", "1.0")
        block.add_new(0x20, "UN", bytes(range(256)))
    if pixel_data is None and syntax in ENCAPSULATED:
        pixel_data = encapsulate([frame or encode(stored, syntax, bits_allocated, bits_stored)])
    if pixel_data is None:
        if codes is None:
            codes = to_codes(stored, bits_allocated, bits_stored)
        pixel_data = codes.astype(codes.dtype.newbyteorder(_order_of(syntax))).tobytes()
        pixel_data += b"\0" * (len(pixel_data) % 2)
    built.add_new("PixelData", "OW" if bits_allocated == 16 else "OB", pixel_data)
    if syntax in ENCAPSULATED:
        built["PixelData"].VR = "OB"
        built["PixelData"].is_undefined_length = True
    return write(built, syntax)


def multi_frame_file(
    frames: list[Stored],
    *,
    syntax: str = EXPLICIT_LITTLE,
    table: str = "basic",
    fragments: int = 1,
    bits_stored: int = 12,
    bits_allocated: int = 16,
    **elements: Any,
) -> bytes:
    """Write a multi-frame object, a tomosynthesis unless `elements` say otherwise.

    Parameters
    ----------
    frames
        The stored values of each.
    table
        "basic", "extended" or "none": how compressed frames are found.
    fragments
        Number of fragments that a compressed frame is cut into.
    """
    made: dict[str, Any] = {"SOPClassUID": TOMOSYNTHESIS, "NumberOfFrames": len(frames)}
    if syntax in ENCAPSULATED:
        coded = [encode(frame, syntax, bits_allocated, bits_stored) for frame in frames]
        if table == "extended":
            data, offsets, lengths = encapsulate_extended(coded)
            made |= {"ExtendedOffsetTable": offsets, "ExtendedOffsetTableLengths": lengths}
        else:
            data = encapsulate(coded, fragments, has_bot=table == "basic")
    else:
        codes = np.stack([to_codes(frame, bits_allocated, bits_stored) for frame in frames])
        data = codes.astype(codes.dtype.newbyteorder(_order_of(syntax))).tobytes()
        data += b"\0" * (len(data) % 2)
    return dicom_file(
        frames[0],
        syntax=syntax,
        pixel_data=data,
        bits_stored=bits_stored,
        bits_allocated=bits_allocated,
        **made | elements,
    )


def _order_of(syntax: str) -> Literal[">", "<"]:
    return ">" if syntax == EXPLICIT_BIG else "<"


def write(built: Dataset, syntax: str = EXPLICIT_LITTLE) -> bytes:
    """Write a dataset as a file; a deflated one holds a raw stream (PS3.5 A.5)."""
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = UID(MAMMOGRAPHY_FOR_PRESENTATION)
    meta.MediaStorageSOPInstanceUID = UID(SOP_INSTANCE_UID)
    meta.TransferSyntaxUID = UID(syntax)
    built.file_meta = meta
    sink = BytesIO()
    dcmwrite(
        sink,
        built,
        implicit_vr=syntax == IMPLICIT_LITTLE,
        little_endian=syntax != EXPLICIT_BIG,
        enforce_file_format=True,
    )
    return sink.getvalue()


def meta_length(file: bytes) -> int:
    """Bytes before the dataset: preamble, prefix and group 0002."""
    return 144 + struct.unpack_from("<L", file, 140)[0]


def deflated_file(inflated: bytes) -> bytes:
    """Write a file whose deflated part inflates to these bytes."""
    head = dicom_file(syntax=DEFLATED)
    packer = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS)
    return head[: meta_length(head)] + packer.compress(inflated) + packer.flush()
