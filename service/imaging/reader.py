"""Bytes -> Mammogram: the only way an image enters the service."""

from dataclasses import replace
from typing import Literal

from service.errors import UnreadableImage, foreign_errors_as
from service.imaging import elements
from service.imaging.admission import admit
from service.imaging.anatomy import read_anatomy
from service.imaging.codecs.codec import DecodeOptions
from service.imaging.codecs.registry import CODEC_OF
from service.imaging.decode import decoding_bytes, read_codes
from service.imaging.dicom import DicomFile, looks_like_dicom, parse
from service.imaging.frames import FRAME_OF_SEVERAL, as_of_frame
from service.imaging.intent import intent
from service.imaging.limits import ReadLimits as ReadLimits
from service.imaging.limits import too_much_memory
from service.imaging.mammogram import Caveat, Mammogram
from service.imaging.photometry import to_display
from service.imaging.pixel_digest import pixel_digest
from service.imaging.pixel_size import read_pixel_size
from service.imaging.polarity import background_is_bright
from service.imaging.rasters import RasterKind, read_raster_file
from service.imaging.reduced_decoding import ReducedDecoding
from service.imaging.source_header import excerpt, snapshot

ImageKind = Literal["dicom", "png", "jpeg", "tiff"]

_RASTER_STARTS: tuple[tuple[bytes, RasterKind], ...] = (
    (b"\x89PNG\r\n\x1a\n", "png"),
    (b"\xff\xd8\xff", "jpeg"),
    (b"II*\0", "tiff"),
    (b"MM\0*", "tiff"),
    (b"II+\0", "tiff"),
    (b"MM\0+", "tiff"),
)

SNIFFED_BYTES = 256
"""Enough for `sniff`."""

MIN_BITS_TO_HALVE = 9
"""Of what may be decoded at half its resolution: a decoder rounds the half to as many levels as the
image has, where the mean of four pixels has two bits more. With 8 bits that moved the score of one
of eight real films by .011."""

UID_IGNORED = Caveat(
    "uid-ignored", "The SOP Instance UID breaks the rules of DICOM and was left out."
)
BRIGHT_BACKGROUND = Caveat(
    "background-bright",
    "The background looks white, as if the photometric interpretation were wrong; the header was "
    "followed all the same.",
)


def sniff(body: bytes | memoryview) -> ImageKind | None:
    """Recognise a file by its first bytes; None for anything that is not read here.

    A DICOM preamble may hold the start of a TIFF (PS3.10 7.1), so DICOM is asked first.
    """
    if looks_like_dicom(body):
        return "dicom"
    head = bytes(body[:8])
    return next((kind for start, kind in _RASTER_STARTS if head.startswith(start)), None)


def read_image(
    body: bytes | memoryview,
    kind: ImageKind | None,
    limits: ReadLimits,
    frame: int | None = None,
    *,
    reduction: ReducedDecoding | None = None,
    digest: bool = False,
    sandboxed: bool = False,
) -> Mammogram:
    """Read a file of any kind; its content decides, `kind` counts where that says nothing.

    Parameters
    ----------
    body
        The file.
    kind
        What it is declared to be.
    limits
        What it may cost.
    frame
        Which frame of a multi-frame object, or page of a TIFF, from 1 on; None for an image that
        has but one.
    reduction
        How fine it must be; JPEG 2000 is read at half its resolution where that suffices, and
        brought to the grid of the whole image before anything else: what is taken from the pixels,
        such as the observed range where there is no window, is taken from these. All there is when
        None.
    digest
        Digest its Pixel Data, too.
    sandboxed
        This process may be lost to the file: decoders that guard their memory less may be used.

    Raises
    ------
    MammosegError
        A subclass with a 4xx status, whatever the bytes are.
    """
    found = sniff(body) or kind
    if len(body) == 0:
        raise UnreadableImage("empty-body", "The request carries no image.")
    if found is None:
        raise UnreadableImage("not-an-image", "This is no DICOM, PNG, JPEG or TIFF file.")
    if found == "dicom":
        return read_dicom(
            body, limits, frame, reduction=reduction, digest=digest, sandboxed=sandboxed
        )
    # Pillow and imagecodecs want bytes of their own; DICOM is read where it lies.
    return read_raster(bytes(body), limits, frame)


def read_dicom(
    body: bytes | memoryview,
    limits: ReadLimits,
    frame: int | None = None,
    *,
    reduction: ReducedDecoding | None = None,
    digest: bool = False,
    sandboxed: bool = False,
) -> Mammogram:
    """Read a DICOM file; see `read_image`."""
    error = UnreadableImage("dicom-unreadable", "The DICOM file cannot be read.")
    with foreign_errors_as(error, too_much_memory()):
        mammogram, file = _read_dicom(body, limits, frame, reduction, sandboxed)
        return replace(mammogram, pixel_digest=pixel_digest(file)) if digest else mammogram


def _read_dicom(
    body: bytes | memoryview,
    limits: ReadLimits,
    frame: int | None,
    reduction: ReducedDecoding | None,
    sandboxed: bool,
) -> tuple[Mammogram, DicomFile]:
    file = parse(body, limits.max_inflated_bytes)
    whole = snapshot(file.dataset)
    layout = admit(file, limits.max_pixels, limits.accept_modalities, frame)
    inflated = len(file.body) if file.body is not body else 0
    limits.refuse_memory(len(body) + inflated + decoding_bytes(file, layout))
    dataset = as_of_frame(file.dataset, frame)
    pixel, anatomy = read_pixel_size(dataset), read_anatomy(dataset)
    codec = CODEC_OF.get(file.transfer_syntax_uid)
    # Between padding and what it surrounds there would come values that are neither.
    half = (
        reduction is not None
        and codec is not None
        and codec.halves
        and "PixelPaddingValue" not in dataset
        and layout.bits_stored >= MIN_BITS_TO_HALVE
        and reduction.allows_half(pixel.pixel_spacing_mm)
    )
    options = DecodeOptions(sandboxed=sandboxed, half=half)
    codes, layout = read_codes(file, layout, frame or 1, options)
    pixels, caveats = to_display(codes, layout, dataset)
    if background_is_bright(pixels):
        caveats += (BRIGHT_BACKGROUND,)
    uid = elements.uid(dataset, "SOPInstanceUID")
    if uid is None:
        caveats += (UID_IGNORED,)
    if layout.frames > 1:
        caveats += (FRAME_OF_SEVERAL,)
    mammogram = Mammogram(
        pixels=pixels,
        pixel_spacing_mm=pixel.pixel_spacing_mm,
        pixel_aspect=pixel.pixel_aspect,
        intent=intent(dataset),
        laterality=anatomy.laterality,
        view_position=anatomy.view_position,
        orientation=anatomy.orientation,
        sop_instance_uid=uid,
        transfer_syntax_uid=file.transfer_syntax_uid,
        frame=frame,
        halved=half,
        caveats=caveats + pixel.caveats + anatomy.caveats,
        header=excerpt(whole, as_of_frame(whole, frame)),
    )
    return mammogram, file


def read_raster(body: bytes, limits: ReadLimits, frame: int | None = None) -> Mammogram:
    """Read a PNG, JPEG or TIFF file; see `read_image`."""
    error = UnreadableImage("image-unreadable", "The image cannot be decoded.")
    with foreign_errors_as(error, too_much_memory()):
        kind = sniff(body)
        if kind is None or kind == "dicom":
            raise UnreadableImage("not-an-image", "This is no PNG, JPEG or TIFF file.")
        return read_raster_file(body, kind, limits, frame)
