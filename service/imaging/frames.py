"""One frame of a multi-frame object: which it is, and what the header says of it alone.

Frames are counted from 1, as DICOM does (PS3.3 C.7.6.6, Referenced Frame Number in 10.3).
"""

from pydicom.dataset import Dataset
from pydicom.sequence import Sequence

from service.errors import InvalidRequest, UnsuitableImage
from service.imaging import elements
from service.imaging.mammogram import Caveat

MAX_FRAMES = 4096
"""A tomosynthesis has one frame a millimetre of breast, a hundred or so."""

FRAME_OF_SEVERAL = Caveat(
    "frame-of-several",
    "This is one frame of a tomosynthesis or other multi-frame object; the model was made for "
    "single mammograms.",
)

_GROUPS = ("SharedFunctionalGroupsSequence", "PerFrameFunctionalGroupsSequence")

_MACROS = (
    "PixelMeasuresSequence",  # PS3.3 C.7.6.16.2.1
    "PlaneOrientationSequence",  # C.7.6.16.2.4
    "FrameAnatomySequence",  # C.7.6.16.2.8
    "PixelValueTransformationSequence",  # C.7.6.16.2.9
    "FrameVOILUTSequence",  # C.7.6.16.2.10, with tables C.7.6.16.2.10b
    "FramePixelDataPropertiesSequence",  # C.8.19.6.4, Imager Pixel Spacing of projections
    "XRayGeometrySequence",  # C.8.31, Breast X-Ray Geometry
)


def several_frames() -> UnsuitableImage:
    """Return the error for an object of several images of which none was asked for."""
    return UnsuitableImage(
        "multi-frame",
        "Tomosynthesis and other multi-frame objects hold many images, and the model judges one: "
        "ask for it with frame=1, 2, ...",
    )


def no_such_frame() -> InvalidRequest:
    """Return the error for a frame that the file does not have."""
    return InvalidRequest("no-such-frame", "The file has no frame of the number asked for.")


def as_of_frame(dataset: Dataset, frame: int | None) -> Dataset:
    """Return the dataset as it holds for one frame, where a single-frame image would say it.

    What the functional groups say of pixel measures and data, orientation, anatomy, value
    transformation and VOI LUT is brought to the top: a frame's own group outranks the shared one,
    and both what stands outside of them (PS3.3 C.7.6.16.1). The Pixel Measures Sequence stays
    visible, for its spacing is in the patient.

    Parameters
    ----------
    dataset
        The whole object's; left as it is. Returned itself where it has no functional groups.
    frame
        From 1 on; None for the only one.
    """
    if not any(keyword in dataset for keyword in _GROUPS):
        return dataset
    flat = Dataset()
    flat.update(dict(dataset.items()))
    implicit, little_endian = dataset.original_encoding
    flat.set_original_encoding(implicit, little_endian, dataset.original_character_set)
    shared = elements.item(dataset, _GROUPS[0], 0)
    own = elements.item(dataset, _GROUPS[1], (frame or 1) - 1)
    for group in (shared, own):
        for keyword in _MACROS:
            macro = elements.item(group or Dataset(), keyword, 0)
            if macro is not None:
                setattr(flat, keyword, Sequence([macro]))
                flat.update(dict(macro.items()))
    return flat
