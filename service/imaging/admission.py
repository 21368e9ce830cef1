"""Which DICOM images are let in, decided from the header before any pixel is decoded."""

from pydicom.dataset import Dataset

from service.errors import TooLarge, UnreadableImage, UnsuitableImage
from service.imaging import elements
from service.imaging.codecs.codestream import pixel_data_truncated
from service.imaging.dicom import DicomFile
from service.imaging.frames import MAX_FRAMES, no_such_frame, several_frames
from service.imaging.limits import too_many_pixels
from service.imaging.pixel_layout import PixelLayout
from service.imaging.transfer_syntaxes import ENCAPSULATED

MULTI_FRAME_CLASSES = frozenset(
    (
        "1.2.840.10008.5.1.4.1.1.13.1.3",  # Breast Tomosynthesis Image Storage
        "1.2.840.10008.5.1.4.1.1.13.1.4",  # Breast Projection X-Ray, For Presentation
        "1.2.840.10008.5.1.4.1.1.13.1.5",  # Breast Projection X-Ray, For Processing
    )
)


def admit(
    file: DicomFile,
    max_pixels: int,
    accept_modalities: frozenset[str],
    frame: int | None = None,
) -> PixelLayout:
    """Decide whether this file holds a grey frame that the service may decode.

    Parameters
    ----------
    file
        The parsed file.
    max_pixels
        Rows times columns of one frame.
    accept_modalities
        Values of Modality that are let in.
    frame
        Which frame is asked for, from 1 on; None asks for the only one.

    Raises
    ------
    MammosegError
        422 for a valid image of another kind, 413 for too many pixels or frames, 400 for a broken
        header or a frame that is not there.
    """
    dataset = file.dataset
    _refuse_other_kinds(file, accept_modalities)
    frames = _frames(dataset, frame)
    if file.pixel_offset is None:
        raise UnsuitableImage("no-pixel-data", "The object holds no grey-scale pixel data.")
    _refuse_colour(dataset)
    layout = _layout(dataset, frames)
    if layout.rows * layout.columns > max_pixels:
        raise too_many_pixels()
    _refuse_missing_bytes(file, layout, frame or 1)
    return layout


def _refuse_other_kinds(file: DicomFile, accept_modalities: frozenset[str]) -> None:
    dataset = file.dataset
    if file.truncated:
        raise UnreadableImage("truncated", "The file breaks off.")
    if elements.text(dataset, "Modality") not in accept_modalities:
        raise UnsuitableImage("modality-not-accepted", "The image's modality is not accepted.")


def _frames(dataset: Dataset, frame: int | None) -> int:
    frames = max(elements.integer(dataset, "NumberOfFrames") or 1, 1)
    several = elements.uid(dataset, "SOPClassUID") in MULTI_FRAME_CLASSES or frames > 1
    if frame is None and several:
        raise several_frames()
    if frames > MAX_FRAMES:
        raise TooLarge("too-many-frames", "The object has more frames than any mammogram.")
    if frame is not None and not 1 <= frame <= frames:
        raise no_such_frame()
    return frames


def _refuse_colour(dataset: Dataset) -> None:
    samples = elements.integer(dataset, "SamplesPerPixel")
    photometric = elements.text(dataset, "PhotometricInterpretation")
    if samples not in (None, 1) or photometric not in ("MONOCHROME1", "MONOCHROME2"):
        raise UnsuitableImage("not-greyscale", "The image is not a grey-scale image.")


def _layout(dataset: Dataset, frames: int) -> PixelLayout:
    rows = elements.integer(dataset, "Rows")
    columns = elements.integer(dataset, "Columns")
    if not rows or not columns or rows < 0 or columns < 0:
        raise UnreadableImage("image-size", "Rows or Columns is missing or zero.")
    allocated = elements.integer(dataset, "BitsAllocated")
    stored = elements.integer(dataset, "BitsStored")
    high = elements.integer(dataset, "HighBit")
    representation = elements.integer(dataset, "PixelRepresentation")
    if stored is None:
        stored = allocated
    if allocated not in (8, 16) or stored is None or not 1 <= stored <= allocated:
        raise UnreadableImage("pixel-format", "The bits allocated and stored make no sense.")
    if high is None:
        high = stored - 1
    if not stored - 1 <= high < allocated or representation not in (None, 0, 1):
        raise UnreadableImage("pixel-format", "The bits allocated and stored make no sense.")
    return PixelLayout(
        rows=rows,
        columns=columns,
        bits_allocated=allocated,
        bits_stored=stored,
        high_bit=high,
        signed=representation == 1,
        photometric_interpretation=(
            "MONOCHROME1"
            if elements.text(dataset, "PhotometricInterpretation") == "MONOCHROME1"
            else "MONOCHROME2"
        ),
        frames=frames,
    )


def _refuse_missing_bytes(file: DicomFile, layout: PixelLayout, frame: int) -> None:
    if file.transfer_syntax_uid in ENCAPSULATED:
        return
    if file.pixel_length is None:
        raise UnreadableImage("pixel-data-corrupt", "The pixel data is not what its syntax says.")
    if len(file.pixel_data) < frame * layout.frame_bytes:
        raise pixel_data_truncated()
