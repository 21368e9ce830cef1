"""What every result is filed under: patient, study, series, device; and its bytes."""

from dataclasses import dataclass
from io import BytesIO

from pydicom.datadict import dictionary_VR
from pydicom.dataelem import RawDataElement
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.filewriter import correct_ambiguous_vr, dcmwrite
from pydicom.tag import Tag
from pydicom.uid import UID, ExplicitVRLittleEndian

from service import __version__
from service.findings import Findings, ModelIdentity
from service.outputs.dicom.algorithm import MANUFACTURER, RESEARCH_ONLY, standing
from service.outputs.dicom.identity import IMPLEMENTATION_CLASS_UID, result_uid
from service.outputs.dicom.reference import Source, refer_to_frame
from service.outputs.dicom.text import long_string

_NOT_REPEATABLE = (
    "InstanceCreationDate",
    "InstanceCreationTime",
    "ContributingEquipmentSequence",
    "DateOfSecondaryCapture",
    "TimeOfSecondaryCapture",
)
"""Optional elements that highdicom fills from the clock or from its own version."""


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of result.

    Attributes
    ----------
    name
        Stable; part of the UIDs.
    modality
        Of its series.
    series_number
        High, so that a viewer lists it behind the images.
    title
        Start of the Series Description.
    """

    name: str
    modality: str
    series_number: int
    title: str


def instance_uid(findings: Findings, source: Source, kind: Kind) -> str:
    """Return the SOP Instance UID of a result."""
    return result_uid(findings, source.sop_instance_uid, kind.name, "instance")


def series_uid(findings: Findings, source: Source, kind: Kind) -> str:
    """Return the Series Instance UID of a result: a series of its own.

    OHIF shows the last segmentation of a series and no other, so that two images must not share
    one (its getSopClassHandlerModule takes `instances[instances.length - 1]`).
    """
    return result_uid(findings, source.sop_instance_uid, kind.name, "series")


def file_under_source(dataset: Dataset, findings: Findings, source: Source, kind: Kind) -> Dataset:
    """Set the modules that all results share, whatever was set of them before, and return it.

    As `file_document`. Every reference is to the source, and gets its SOP class and, of several
    frames, the number of the one looked at.
    """
    for keyword in _NOT_REPEATABLE:
        if keyword in dataset:
            delattr(dataset, keyword)
    for element in dataset.iterall():
        if element.keyword == "ReferencedSOPClassUID":
            element.value = source.sop_class_uid
    if findings.frame is not None:
        refer_to_frame(dataset, findings.frame)
    uids = series_uid(findings, source, kind), instance_uid(findings, source, kind)
    return file_document(dataset, source, kind, findings.model, uids)


def file_document(
    dataset: Dataset, source: Source, kind: Kind, model: ModelIdentity, uids: tuple[str, str]
) -> Dataset:
    """Set the modules that all objects share, and return it.

    Patient, General Study, General Series, General Equipment and SOP Common (PS3.3 C.7.1.1,
    C.7.2.1, C.7.3.1, C.7.5.1, C.12.1). Content Date and Time are the image's own, not the clock's:
    the same image gives the same bytes. Content Qualification is RESEARCH.

    Parameters
    ----------
    dataset
        The object.
    source, kind, model
        The image it is of, what it is, and which model it speaks for.
    uids
        Its Series Instance and SOP Instance UIDs.
    """
    dataset.pop("SpecificCharacterSet", None)
    if source.character_set:
        dataset.SpecificCharacterSet = list(source.character_set)
    for keyword, value in source.identity.items():
        setattr(dataset, keyword, value or "")
    for keyword, kept in source.kept_bytes.items():
        _set_bytes(dataset, keyword, kept)
    dataset.StudyInstanceUID = source.study_instance_uid
    dataset.SeriesInstanceUID, dataset.SOPInstanceUID = uids
    dataset.Modality = kind.modality
    dataset.SeriesNumber = kind.series_number
    dataset.SeriesDescription = long_string(f"{kind.title} ({RESEARCH_ONLY})")
    set_equipment(dataset, model)
    dataset.InstanceNumber = 1
    dataset.ContentDate, dataset.ContentTime = source.content_date, source.content_time
    dataset.ContentQualification = "RESEARCH"
    if source.timezone is not None:
        dataset.TimezoneOffsetFromUTC = source.timezone
    return dataset


def _set_bytes(dataset: Dataset, keyword: str, value: bytes) -> None:
    """Set an element to bytes that are to be written as they are, but for padding."""
    tag = Tag(keyword)
    padded = value + b" " * (len(value) % 2)
    dataset[tag] = RawDataElement(
        tag, dictionary_VR(tag), len(padded), padded, 0, is_implicit_VR=False, is_little_endian=True
    )


def set_side(dataset: Dataset, findings: Findings) -> None:
    """Say of a series which breast it shows (PS3.3 C.7.3.1); empty when unknown, type 2C."""
    dataset.BodyPartExamined = "BREAST"
    dataset.Laterality = findings.mammogram.laterality or ""


def set_orientation(dataset: Dataset, source: Source) -> None:
    """Say of a picture of the source which way it lies (PS3.3 C.7.6.1, type 2C).

    The source's Patient Orientation, where that gives two anatomical directions, and empty
    otherwise: side and view do not tell whether pixels were flipped, and a view such as CC is no
    direction.
    """
    dataset.PatientOrientation = list(source.patient_orientation or ())


def set_equipment(dataset: Dataset, model: ModelIdentity) -> None:
    """Name the device: the model is the product, its sha256 the serial number."""
    dataset.Manufacturer = MANUFACTURER
    dataset.ManufacturerModelName = long_string(model.name)
    dataset.DeviceSerialNumber = long_string(model.sha256)
    dataset.SoftwareVersions = [
        long_string(f"{model.name} {standing(model)}"),
        long_string(f"mammoseg {__version__}"),
    ]


def to_bytes(dataset: Dataset, transfer_syntax_uid: str = ExplicitVRLittleEndian) -> bytes:
    """Write a Part 10 file (PS3.10 7.1), its preamble zero; the same dataset, the same bytes."""
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = dataset.SOPClassUID
    meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID
    meta.TransferSyntaxUID = UID(transfer_syntax_uid)
    meta.ImplementationClassUID = UID(IMPLEMENTATION_CLASS_UID)
    meta.ImplementationVersionName = "MAMMOSEG"
    dataset.file_meta = meta
    dataset.preamble = bytes(128)
    # Only of a dataset that seems to be read in just this encoding are raw elements written raw.
    dataset = correct_ambiguous_vr(dataset, True)
    dataset.set_original_encoding(False, True, dataset._character_set)
    sink = BytesIO()
    dcmwrite(sink, dataset, enforce_file_format=True, implicit_vr=False, little_endian=True)
    return sink.getvalue()
