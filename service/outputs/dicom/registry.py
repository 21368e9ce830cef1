"""Which DICOM objects there are. A new one is one file that builds it and one row here."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from pydicom.dataset import Dataset
from pydicom.uid import (
    EnhancedSRStorage,
    ExplicitVRLittleEndian,
    GrayscaleSoftcopyPresentationStateStorage,
    JPEGBaseline8Bit,
    JPEGLSLossless,
    MammographyCADSRStorage,
    SecondaryCaptureImageStorage,
    SegmentationStorage,
)

from service.errors import NotAcceptable, foreign_errors_as
from service.findings import Findings
from service.imaging.reduced_decoding import WHOLE_PICTURE
from service.outputs.dicom.cad_sr import mammography_cad_report
from service.outputs.dicom.document import DocumentReference, supersede
from service.outputs.dicom.gsps import presentation_state
from service.outputs.dicom.instance import to_bytes
from service.outputs.dicom.reference import Source, read_source
from service.outputs.dicom.sc import overlay_capture
from service.outputs.dicom.seg import fractional_segmentation, segmentation
from service.outputs.dicom.sr import measurement_report


@dataclass(frozen=True, slots=True)
class DicomOutput:
    """One kind of DICOM result.

    Attributes
    ----------
    build
        Makes the dataset of findings and the checked source.
    sop_class_uid
        What it is.
    transfer_syntax_uid
        How its pixels, if any, are encoded.
    description
        One line for the API's documentation.
    picture_side
        How fine the picture of the image in it must be, as `SegmentOptions.picture_side`; 0 where
        it holds none.
    is_report
        It is an SR document, and names the reports that it replaces.
    """

    build: Callable[[Findings, Source], Dataset]
    sop_class_uid: str
    transfer_syntax_uid: str
    description: str
    picture_side: int = 0
    is_report: bool = False


OUTPUTS: Mapping[str, DicomOutput] = {
    "seg": DicomOutput(
        segmentation,
        SegmentationStorage,
        ExplicitVRLittleEndian,
        "Segmentation of the mask, one segment a finding, on the source's pixels.",
    ),
    "seg-fractional": DicomOutput(
        fractional_segmentation,
        SegmentationStorage,
        JPEGLSLossless,
        "Segmentation holding the probability of lesion, JPEG-LS lossless.",
    ),
    "sr": DicomOutput(
        measurement_report,
        EnhancedSRStorage,
        ExplicitVRLittleEndian,
        "Enhanced SR, Measurement Report (TID 1500).",
        is_report=True,
    ),
    "cad-sr": DicomOutput(
        mammography_cad_report,
        MammographyCADSRStorage,
        ExplicitVRLittleEndian,
        "Mammography CAD SR (TID 4000).",
        is_report=True,
    ),
    "sc": DicomOutput(
        overlay_capture,
        SecondaryCaptureImageStorage,
        JPEGBaseline8Bit,
        "Secondary Capture: the image with outlines, in colour, JPEG.",
        # Of all there is, always: the same object has the same bytes, whatever else is asked for.
        picture_side=WHOLE_PICTURE,
    ),
    "gsps": DicomOutput(
        presentation_state,
        GrayscaleSoftcopyPresentationStateStorage,
        ExplicitVRLittleEndian,
        "Grayscale Softcopy Presentation State with outlines.",
    ),
}


REPORTS = frozenset(kind for kind, output in OUTPUTS.items() if output.is_report)

SUCCESSOR = "cad-sr"
"""What is made beside results that are no reports, to replace the report that an image was not
analysed: of the same SOP class, so an archive that took the one takes the other."""


def picture_side(kinds: Iterable[str]) -> int:
    """Return the longest side of the pictures of the image in such results, 0 without any."""
    return max((OUTPUTS[kind].picture_side for kind in kinds), default=0)


def syntaxes_of(kinds: Iterable[str]) -> dict[str, frozenset[str]]:
    """Return the transfer syntax UIDs of such results, by SOP Class UID."""
    found: dict[str, frozenset[str]] = {}
    for output in (OUTPUTS[kind] for kind in kinds):
        known = found.get(output.sop_class_uid, frozenset())
        found[output.sop_class_uid] = known | {output.transfer_syntax_uid}
    return found


def dicom_result(kind: str, findings: Findings, header: Dataset) -> Dataset:
    """Make one result.

    Parameters
    ----------
    kind
        A key of `OUTPUTS`.
    findings
        What was found.
    header
        The source's dataset; its pixel data is not needed.

    Raises
    ------
    NotAcceptable
        The source's header does not say which object, study or patient it is.
    """
    return OUTPUTS[kind].build(findings, read_source(header))


def dicom_file(
    kind: str,
    findings: Findings,
    header: Dataset,
    predecessors: Sequence[DocumentReference] = (),
) -> bytes:
    """Make one result as a Part 10 file; see `dicom_result`. The same input, the same bytes.

    A report names its `predecessors`; other objects have no place for them.
    """
    made = dicom_result(kind, findings, header)
    if OUTPUTS[kind].is_report:
        supersede(made, predecessors)
    return to_bytes(made, OUTPUTS[kind].transfer_syntax_uid)


def with_report(kinds: Sequence[str]) -> tuple[str, ...]:
    """Return these kinds, and a report where there is none that can name its predecessors."""
    return tuple(kinds) if REPORTS & set(kinds) else (*kinds, SUCCESSOR)


def dicom_files(
    kinds: Sequence[str], findings: Findings, predecessors: Sequence[DocumentReference] = ()
) -> list[bytes]:
    """Make results of what was found in a DICOM file: they refer to the header that was read.

    Parameters
    ----------
    kinds
        Keys of `OUTPUTS`.
    findings
        What was found in it.
    predecessors
        Earlier reports on it, which those made now replace.

    Raises
    ------
    NotAcceptable
        It was no DICOM file, or no valid DICOM object can refer to an image with its header.
    """
    source = findings.mammogram.header
    if source is None:
        raise NotAcceptable("output", "A DICOM result is made of a DICOM image only.")
    detail = "No valid DICOM object can refer to an image with this header."
    with foreign_errors_as(NotAcceptable("source-header", detail)):
        header = source.dataset()
        return [dicom_file(kind, findings, header, predecessors) for kind in kinds]
