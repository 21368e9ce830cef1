"""Pixel data -> stored values, natively or through imagecodecs as a decoder plug-in of pydicom.

One BSD-licensed package decodes every compressed transfer syntax. pydicom prefers other plug-ins
where they are installed, so this one is always asked for by name.
"""

from struct import unpack_from
from typing import Any, BinaryIO, cast

import cv2
import imagecodecs
import numpy as np
from numpy.typing import NDArray
from pydicom.pixels.decoders.base import DecodeRunner, get_decoder
from pydicom.uid import UID

from service.errors import UnreadableImage
from service.imaging import elements
from service.imaging import quiet as quiet
from service.imaging.admission import PixelLayout
from service.imaging.cells import layout_of_cells, may_hold_overlays
from service.imaging.codestream import (
    Codestream,
    corrupt,
    jpeg_scans,
    read_jpeg,
    read_jpeg_2000,
    rle_segments,
)
from service.imaging.dicom import (
    ENCAPSULATED,
    HTJ2K,
    JPEG_2000,
    JPEG_LS,
    RLE,
    DicomFile,
)
from service.imaging.fragments import encapsulated, frame_fragments, is_alone
from service.imaging.jpeg_2000 import decode_jpeg_2000
from service.imaging.memory_file import MemoryFile

PLUGIN = "imagecodecs"

_RLE_PADDING = 2**16

DECODER_DEPENDENCIES = {UID(uid): ("imagecodecs>=2025.3.30",) for uid in ENCAPSULATED}
"""Asked for by pydicom's plug-in machinery."""

Codes = NDArray[np.uint8] | NDArray[np.uint16]
"""Stored samples as they lie in their container: bits above Bits Stored not yet masked, sign not
yet extended."""


_BYTES_PER_PIXEL, _OPENJPEG_BYTES_PER_PIXEL = 5, 8
"""Memory from the file to display values, beside the file itself: two bytes of codes, two of
display values, and what the decoder holds meanwhile, as measured; OpenJPEG works on four bytes a
sample."""


def decoding_bytes(file: DicomFile, layout: PixelLayout) -> int:
    """Estimate the memory that reading a frame takes beside the file."""
    large = file.transfer_syntax_uid in JPEG_2000 | HTJ2K
    pixels = layout.rows * layout.columns
    return pixels * (_OPENJPEG_BYTES_PER_PIXEL if large else _BYTES_PER_PIXEL)


def is_available(uid: str) -> bool:
    """Say whether this plug-in decodes the transfer syntax (pydicom's plug-in protocol)."""
    return uid in ENCAPSULATED


def read_codes(
    file: DicomFile,
    layout: PixelLayout,
    frame: int = 1,
    *,
    sandboxed: bool = False,
    half: bool = False,
) -> tuple[Codes, PixelLayout]:
    """Decode one frame of an admitted file.

    Parameters
    ----------
    file, layout
        What was admitted.
    frame
        Which one, from 1 on; the others are not decoded.
    sandboxed
        This process may be lost to the file: decoders that guard their memory less may be used.
    half
        Half the resolution will do: JPEG 2000 is decoded so far, and brought to the whole grid.

    Returns
    -------
    codes
        uint8 or uint16, shape (rows, columns); may be a read-only view of the body.
    layout
        Of these codes: bits and sign of a compressed frame are the codestream's (PS3.5 8.2), unless
        it holds whole cells, of which the header says which bits count.

    Raises
    ------
    UnreadableImage
        The pixel data does not decode to what the header says.
    """
    if file.transfer_syntax_uid not in ENCAPSULATED:
        return _native(file, layout, frame), layout
    data = file.pixel_data
    fragments = frame_fragments(data, frame, layout.frames, _extended_offsets(file))
    codestream = fragments[0] if len(fragments) == 1 else b"".join(fragments)
    claims = read_claims(codestream, file.transfer_syntax_uid, layout)
    # pydicom follows offset tables where it has any.
    alone = layout.frames == 1 and is_alone(data, fragments)
    stream = MemoryFile(data if alone else encapsulated(codestream))
    of_codes = layout_of_cells(layout, claims, file.transfer_syntax_uid)
    spare = 0 if claims is None else claims.precision - of_codes.high_bit - 1
    half = half and not (spare and may_hold_overlays(file.dataset))
    options = {"sandboxed": sandboxed, "half": half}
    codes = _through_pydicom(stream, file.transfer_syntax_uid, layout, options)
    if half and spare and cv2.minMaxLoc(codes)[1] >= 2 << of_codes.high_bit:
        # At half the resolution an edge overshoots into bits that do not count.
        options["half"] = False
        codes = _through_pydicom(stream, file.transfer_syntax_uid, layout, options)
    return codes, of_codes


def _extended_offsets(file: DicomFile) -> tuple[int, ...]:
    offsets = elements.octets(file.dataset, "ExtendedOffsetTable")
    return unpack_from(f"<{len(offsets) // 8}Q", offsets)


def read_claims(frame: bytes | memoryview, syntax: str, layout: PixelLayout) -> Codestream | None:
    """Check that the codestream claims the size the header states; None for RLE, which has none.

    Raises
    ------
    UnreadableImage
        It claims another size, several components, or is no such codestream.
    """
    if syntax == RLE:
        rle_segments(frame, layout.bits_allocated // 8)
        return None
    claims = (read_jpeg_2000 if syntax in JPEG_2000 | HTJ2K else read_jpeg)(frame)
    if (claims.rows, claims.columns) != (layout.rows, layout.columns):
        raise UnreadableImage(
            "codestream-size", "The compressed image has another size than the header says."
        )
    if claims.components != 1 or claims.precision > 16:
        raise corrupt()
    return claims


def _native(file: DicomFile, layout: PixelLayout, frame: int) -> Codes:
    data, start = file.pixel_data, (frame - 1) * layout.frame_bytes
    shape, count = (layout.rows, layout.columns), layout.rows * layout.columns
    if layout.bits_allocated == 16:
        words = np.frombuffer(data, "<u2" if file.little_endian else ">u2", count, start)
        return words.astype(np.uint16, copy=False).reshape(shape)
    if file.little_endian or file.pixel_vr != "OW":
        return np.frombuffer(data, np.uint8, count, start).reshape(shape)
    # Two samples share a big-endian word, the first in its low byte (PS3.5 8.1.1 and annex D).
    odd = start % 2
    words = np.frombuffer(data, ">u2", (count + odd + 1) // 2, start - odd).astype("<u2")
    return words.view(np.uint8)[odd : odd + count].reshape(shape)


def _through_pydicom(
    stream: MemoryFile, syntax: str, layout: PixelLayout, options: dict[str, Any]
) -> Codes:
    try:
        buffer, properties = get_decoder(syntax).as_buffer(
            cast(BinaryIO, stream),
            decoding_plugin=PLUGIN,
            rows=layout.rows,
            columns=layout.columns,
            samples_per_pixel=1,
            number_of_frames=1,
            index=0,
            photometric_interpretation=layout.photometric_interpretation,
            bits_allocated=layout.bits_allocated,
            bits_stored=layout.bits_stored,
            pixel_representation=int(layout.signed),
            **options,
        )
    except Exception:
        raise corrupt() from None
    shape = (layout.rows, layout.columns)
    if properties["bits_allocated"] == 8:
        return np.frombuffer(buffer, np.uint8).reshape(shape)
    return np.frombuffer(buffer, np.uint16).reshape(shape)


def decode_frame(
    frame: bytes,
    syntax: str,
    layout: PixelLayout,
    claims: Codestream | None,
    *,
    sandboxed: bool,
    half: bool = False,
) -> Codes:
    """Decode one compressed frame whose claims have been checked.

    Parameters
    ----------
    frame
        The joined fragments of the frame.
    syntax
        Transfer syntax UID, one of `ENCAPSULATED`.
    layout
        Of the samples.
    claims
        The codestream's own; None for RLE.
    sandboxed, half
        As in `read_codes`.
    """
    if claims is None:
        return _decode_rle(frame, layout.rows, layout.columns, layout.bits_allocated // 8)
    if syntax in JPEG_2000 | HTJ2K:
        fast = syntax in HTJ2K and sandboxed
        # An encoder may have taken signed samples for unsigned ones, and a mean of those is no
        # value between them.
        half = half and not layout.signed
        decoded = decode_jpeg_2000(frame, claims, half=half, fast=fast)
    elif syntax in JPEG_LS:
        # Without an end CharLS 2 reads on for four seconds, whatever the size.
        jpeg_scans(frame)
        decoded = imagecodecs.jpegls_decode(frame)
    else:
        jpeg_scans(frame)
        decoded = imagecodecs.jpeg8_decode(frame)
    if decoded.shape != (layout.rows, layout.columns) or decoded.dtype.itemsize > 2:
        raise corrupt()
    codes: Codes = decoded.view(f"u{decoded.dtype.itemsize}")
    return codes


def _decode_rle(frame: bytes, rows: int, columns: int, item_bytes: int) -> Codes:
    out = np.empty(rows * columns * item_bytes, np.uint8)
    try:
        decoded = imagecodecs.dicomrle_decode(frame, f"<u{item_bytes}", out=out.data)
        # A segment that ends early leaves the rest of the memory as it was.
        if len(decoded) != len(out):
            raise corrupt()
    except imagecodecs.DicomrleError:
        _decode_padded_rle(frame, out.reshape(-1, item_bytes))
    codes: Codes = out.view(f"<u{item_bytes}").reshape(rows, columns)
    return codes


def _decode_padded_rle(frame: bytes, out: NDArray[np.uint8]) -> None:
    """Decode segment by segment, forgiving what padding at the end of one decodes to.

    Parameters
    ----------
    out
        uint8, shape (pixels, bytes a sample), least significant byte first.
    """
    segments = rle_segments(frame, out.shape[1])
    for plane, segment in enumerate(reversed(segments)):
        decoded = imagecodecs.packbits_decode(bytes(segment), out=len(out) + _RLE_PADDING)
        if len(decoded) < len(out):
            raise corrupt()
        out[:, plane] = np.frombuffer(decoded, np.uint8, len(out))


def _decode_frame(src: bytes, runner: DecodeRunner) -> memoryview:
    """Decode a frame for pydicom (its plug-in protocol).

    Checks the frame again: pydicom cut it out, and its own callers did not check it.
    """
    layout = PixelLayout(
        rows=runner.rows,
        columns=runner.columns,
        bits_allocated=runner.bits_allocated,
        bits_stored=runner.bits_stored,
        high_bit=runner.bits_stored - 1,
        signed=runner.pixel_representation == 1,
        photometric_interpretation="MONOCHROME2",
    )
    claims = read_claims(src, runner.transfer_syntax, layout)
    sandboxed = bool(runner.get_option("sandboxed", False))
    half = bool(runner.get_option("half", False))
    codes = decode_frame(
        src, runner.transfer_syntax, layout, claims, sandboxed=sandboxed, half=half
    )
    runner.set_option("bits_allocated", 8 * codes.dtype.itemsize)
    return np.ascontiguousarray(codes).reshape(-1).view(np.uint8).data


def _register() -> None:
    for uid in ENCAPSULATED:
        decoder = get_decoder(uid)
        if PLUGIN not in decoder.available_plugins:
            decoder.add_plugin(PLUGIN, (__name__, _decode_frame.__name__))


_register()
