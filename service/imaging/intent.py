"""What the pixels are for, which decides whether a model may judge them."""

from pydicom.dataset import Dataset

from service.imaging import elements
from service.imaging.mammogram import Intent

_PRESENTATION = frozenset(
    (
        "1.2.840.10008.5.1.4.1.1.1.2",  # Digital Mammography X-Ray, For Presentation
        "1.2.840.10008.5.1.4.1.1.13.1.4",  # Breast Projection X-Ray, For Presentation
    )
)
_PROCESSING = frozenset(
    (
        "1.2.840.10008.5.1.4.1.1.1.2.1",  # Digital Mammography X-Ray, For Processing
        "1.2.840.10008.5.1.4.1.1.13.1.5",  # Breast Projection X-Ray, For Processing
    )
)
_SECONDARY_CAPTURE = frozenset(
    (
        "1.2.840.10008.5.1.4.1.1.7",  # Secondary Capture
        "1.2.840.10008.5.1.4.1.1.7.2",  # Multi-frame Grayscale Byte Secondary Capture
        "1.2.840.10008.5.1.4.1.1.7.3",  # Multi-frame Grayscale Word Secondary Capture
    )
)
_FILM_CONVERSIONS = ("DF", "WSD")


def intent(dataset: Dataset) -> Intent:
    """Tell what the pixels are for.

    By SOP Class, else Presentation Intent Type (PS3.3 C.8.11.1: FOR PRESENTATION, FOR PROCESSING),
    else Conversion Type (C.8.6.1: DF digitised film, WSD workstation). Secondary Capture of
    modality MG is how digitised films are stored, CBIS-DDSM's among them. Tomosynthesis says
    neither, and is `unstated`.
    """
    sop_class = elements.uid(dataset, "SOPClassUID")
    kind = elements.text(dataset, "PresentationIntentType")
    if sop_class in _PROCESSING:
        return "processing"
    if sop_class in _PRESENTATION:
        return "presentation"
    if kind == "FOR PROCESSING":
        return "processing"
    if kind == "FOR PRESENTATION":
        return "presentation"
    converted = elements.text(dataset, "ConversionType")
    if sop_class in _SECONDARY_CAPTURE or converted in _FILM_CONVERSIONS:
        return "film"
    return "unstated"
