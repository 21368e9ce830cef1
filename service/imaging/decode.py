"""Pixel data -> codes, natively or by a codec, which pydicom calls as its decoder plug-in.

pydicom prefers other plug-ins where they are installed, so this one is always asked for by name.
"""

from dataclasses import replace
from struct import unpack_from
from typing import Any, BinaryIO, cast

import cv2
import numpy as np
from numpy.typing import NDArray
from pydicom.pixels.decoders.base import DecodeRunner, get_decoder
from pydicom.uid import UID

from service.errors import UnreadableImage
from service.imaging import elements
from service.imaging import quiet as quiet
from service.imaging.cells import layout_of_cells, may_hold_overlays
from service.imaging.codecs.codec import BYTES_PER_PIXEL, DecodeOptions
from service.imaging.codecs.codestream import Codestream, corrupt
from service.imaging.codecs.registry import CODEC_OF
from service.imaging.dicom import DicomFile
from service.imaging.fragments import encapsulated, frame_fragments, is_alone
from service.imaging.memory_file import MemoryFile
from service.imaging.pixel_layout import PixelLayout
from service.imaging.transfer_syntaxes import ENCAPSULATED

PLUGIN = "imagecodecs"
OPTIONS = "mammoseg"
"""As which pydicom hands the options on."""

WHOLE = DecodeOptions()

DECODER_DEPENDENCIES = {UID(uid): ("imagecodecs>=2025.3.30",) for uid in ENCAPSULATED}
"""Asked for by pydicom's plug-in machinery."""

Codes = NDArray[np.uint8] | NDArray[np.uint16]
"""Stored samples as they lie in their container: bits above Bits Stored not yet masked, sign not
yet extended."""


def decoding_bytes(file: DicomFile, layout: PixelLayout) -> int:
    """Estimate the memory that reading a frame takes beside the file."""
    codec = CODEC_OF.get(file.transfer_syntax_uid)
    a_pixel = BYTES_PER_PIXEL if codec is None else codec.bytes_per_pixel
    return layout.rows * layout.columns * a_pixel


def is_available(uid: str) -> bool:
    """Say whether this plug-in decodes the transfer syntax (pydicom's plug-in protocol)."""
    return uid in ENCAPSULATED


def read_codes(
    file: DicomFile,
    layout: PixelLayout,
    frame: int = 1,
    options: DecodeOptions = WHOLE,
) -> tuple[Codes, PixelLayout]:
    """Decode one frame of an admitted file.

    Parameters
    ----------
    file, layout
        What was admitted.
    frame
        Which one, from 1 on; the others are not decoded.
    options
        How it may be decoded.

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
    spare = claims.precision - of_codes.high_bit - 1
    if spare and may_hold_overlays(file.dataset):
        options = replace(options, half=False)
    codes = _through_pydicom(stream, file.transfer_syntax_uid, layout, options)
    halved = options.half and CODEC_OF[file.transfer_syntax_uid].halves
    if halved and spare and cv2.minMaxLoc(codes)[1] >= 2 << of_codes.high_bit:
        # At half the resolution an edge overshoots into bits that do not count.
        options = replace(options, half=False)
        codes = _through_pydicom(stream, file.transfer_syntax_uid, layout, options)
    return codes, of_codes


def _extended_offsets(file: DicomFile) -> tuple[int, ...]:
    offsets = elements.octets(file.dataset, "ExtendedOffsetTable")
    return unpack_from(f"<{len(offsets) // 8}Q", offsets)


def read_claims(frame: bytes | memoryview, syntax: str, layout: PixelLayout) -> Codestream:
    """Check that the codestream claims the size the header states.

    Raises
    ------
    UnreadableImage
        It claims another size, several components, or is no such codestream.
    """
    claims = CODEC_OF[syntax].read_claims(frame, layout)
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
    stream: MemoryFile, syntax: str, layout: PixelLayout, options: DecodeOptions
) -> Codes:
    kept: dict[str, Any] = {OPTIONS: options}
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
            **kept,
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
    claims: Codestream,
    options: DecodeOptions = WHOLE,
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
        The codestream's own.
    options
        How it may be decoded.
    """
    decoded = CODEC_OF[syntax].decode(frame, layout, claims, options)
    if decoded.shape != (layout.rows, layout.columns) or decoded.dtype.itemsize > 2:
        raise corrupt()
    codes: Codes = decoded.view(f"u{decoded.dtype.itemsize}")
    return codes


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
    options = runner.get_option(OPTIONS, WHOLE)
    codes = decode_frame(src, runner.transfer_syntax, layout, claims, options)
    runner.set_option("bits_allocated", 8 * codes.dtype.itemsize)
    return np.ascontiguousarray(codes).reshape(-1).view(np.uint8).data


def _register() -> None:
    for uid in ENCAPSULATED:
        decoder = get_decoder(uid)
        if PLUGIN not in decoder.available_plugins:
            decoder.add_plugin(PLUGIN, (__name__, _decode_frame.__name__))


_register()
