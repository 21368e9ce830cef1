"""The part of a source's header that its results carry, checked once for all of them.

UIDs and the Patient ID say what an object belongs to: they are kept exactly or the source is
refused. Everything else is of type 2 in every result (PS3.3 C.7.1.1, C.7.2.1): kept if it is valid,
and left empty otherwise. Nothing beyond what the standard requires is copied.
"""

import re
from dataclasses import dataclass

from pydicom.dataset import Dataset
from pydicom.uid import DigitalMammographyXRayImageStorageForPresentation

from service.errors import NotAcceptable
from service.imaging import elements
from service.imaging.orientation import patient_orientation
from service.outputs.dicom.text import (
    HeaderText,
    is_date,
    is_person_name,
    is_time,
    one_of,
    plain,
)

NO_DATE, NO_TIME = "19700101", "000000"
"""What stands where a date must and the source has none; recognisably not a date of an image."""

_UIDS = ("SOPClassUID", "SOPInstanceUID", "SeriesInstanceUID", "StudyInstanceUID")

_OPTIONAL_IDENTITY = {
    "PatientName": is_person_name,
    "PatientBirthDate": is_date,
    "PatientSex": one_of("M", "F", "O"),
    "StudyDate": is_date,
    "StudyTime": is_time,
    "AccessionNumber": plain(16),
    "StudyID": plain(16),
    "ReferringPhysicianName": is_person_name,
}

_DATED = ("Content", "Acquisition", "Series", "Study")


@dataclass(frozen=True, slots=True, eq=False)
class Source:
    """What results say of the image they were made from.

    Attributes
    ----------
    sop_class_uid, sop_instance_uid, series_instance_uid, study_instance_uid
        Valid UIDs; the series' is "" where it is not known and was not needed.
    modality
        Of the image; "" when unknown.
    identity
        Elements of the Patient and General Study modules by keyword, None for an empty one.
    kept_bytes
        Of those beyond ASCII, by keyword: the source's bytes, which are written as they are.
    character_set
        Terms of Specific Character Set to write with them; empty for none.
    patient_orientation
        Directions of (rows, columns), such as ("A", "FR"), where they are anatomical ones.
    content_date, content_time
        When the image was made, DA and TM: the first that is valid of Content, Acquisition,
        Series and Study Date with its time; `NO_DATE`, `NO_TIME` where there is none.
    study_date, study_time
        Valid DA and TM, or None.
    timezone
        Timezone Offset From UTC, or None.
    header
        All of it, as it came and unchecked.
    """

    sop_class_uid: str
    sop_instance_uid: str
    series_instance_uid: str
    study_instance_uid: str
    modality: str
    identity: dict[str, str | None]
    kept_bytes: dict[str, bytes]
    character_set: tuple[str, ...]
    patient_orientation: tuple[str, str] | None
    content_date: str
    content_time: str
    timezone: str | None
    header: Dataset

    @property
    def study_date(self) -> str | None:
        """Study Date, or None."""
        return self.identity["StudyDate"]

    @property
    def study_time(self) -> str | None:
        """Study Time, or None."""
        return self.identity["StudyTime"]


def read_source(header: Dataset, *, series_needed: bool = True) -> Source:
    """Check a source's header.

    Parameters
    ----------
    header
        The source's dataset; pixel data is not looked at and need not be there.
    series_needed
        Whether a source without a valid Series Instance UID is refused.

    Raises
    ------
    NotAcceptable
        `source-uids` when one of its four UIDs is missing or cannot be one,
        `source-patient-id` when the Patient ID, or its issuer, is not one valid LO: a result could
        not be filed beside the image.
    """
    uids = {keyword: elements.uid(header, keyword) for keyword in _UIDS}
    lacking = {key for key, uid in uids.items() if uid is None}
    if lacking - (set() if series_needed else {"SeriesInstanceUID"}):
        raise NotAcceptable(
            "source-uids",
            "A DICOM result needs a source with valid SOP Class, SOP Instance, Series Instance and "
            "Study Instance UIDs.",
        )
    text = HeaderText(header)
    identity = _identity(text)
    content_date, content_time = _content_moment(text)
    return Source(
        sop_class_uid=uids["SOPClassUID"] or "",
        sop_instance_uid=uids["SOPInstanceUID"] or "",
        series_instance_uid=uids["SeriesInstanceUID"] or "",
        study_instance_uid=uids["StudyInstanceUID"] or "",
        modality=text.read("Modality", plain(16)) or "",
        identity=identity,
        kept_bytes=text.bytes_to_keep(),
        character_set=text.character_set(),
        patient_orientation=patient_orientation(header),
        content_date=content_date,
        content_time=content_time,
        timezone=text.read("TimezoneOffsetFromUTC", _is_offset),
        header=header,
    )


STAND_IN_CLASS = DigitalMammographyXRayImageStorageForPresentation
"""Given to highdicom for the source's SOP class, since it refuses those that are a maker's own;
`instance.file_under_source` writes the source's into every reference."""


def bare_reference(source: Source, shape: tuple[int, ...]) -> Dataset:
    """Return highdicom what it needs of the source and nothing of the patient.

    It logs the names it takes for odd; `instance.file_under_source` adds the patient afterwards.
    """
    bare = Dataset()
    bare.SOPClassUID, bare.SOPInstanceUID = STAND_IN_CLASS, source.sop_instance_uid
    bare.StudyInstanceUID = source.study_instance_uid
    bare.SeriesInstanceUID = source.series_instance_uid
    for keyword in ("PatientID", "PatientName", "PatientBirthDate", "PatientSex"):
        setattr(bare, keyword, "")
    for keyword in ("AccessionNumber", "StudyID", "StudyDate", "StudyTime"):
        setattr(bare, keyword, None)
    bare.Modality = source.modality
    bare.Rows, bare.Columns = shape
    return bare


_OF_IMAGES = ("SourceImageSequence", "ReferencedImageSequence", "ReferencedSOPSequence")
"""Sequences whose items refer to an image by the macros that may name a frame: Image SOP Instance
Reference (PS3.3 10.3), and an IMAGE content item's reference (C.17.3.5, C.18.4). Which objects
belong together is said without (10.4, C.12.2)."""

_OF_OBJECTS = "CurrentRequestedProcedureEvidenceSequence"


def refer_to_frame(dataset: Dataset, frame: int) -> None:
    """Say in each reference to the source image which of its frames is meant, from 1 on."""
    for element in dataset:
        if element.VR != "SQ" or element.keyword == _OF_OBJECTS:
            continue
        for item in element.value:
            if element.keyword in _OF_IMAGES:
                item.ReferencedFrameNumber = frame
            refer_to_frame(item, frame)


def _identity(text: HeaderText) -> dict[str, str | None]:
    found = {key: text.read(key, is_valid) for key, is_valid in _OPTIONAL_IDENTITY.items()}
    found["PatientID"] = text.read("PatientID", plain(64))
    if found["PatientID"] is None and text.is_present("PatientID"):
        raise NotAcceptable(
            "source-patient-id", "The source's Patient ID is not a valid one; results need it."
        )
    issuer = text.read("IssuerOfPatientID", plain(64))
    if issuer is None and text.is_present("IssuerOfPatientID"):
        # Without its issuer, the same Patient ID may be another patient's.
        raise NotAcceptable(
            "source-patient-id", "The source's Issuer of Patient ID is not a valid one."
        )
    return found if issuer is None else found | {"IssuerOfPatientID": issuer}


def _content_moment(text: HeaderText) -> tuple[str, str]:
    for name in _DATED:
        date = text.read(f"{name}Date", is_date)
        if date is not None:
            return date, text.read(f"{name}Time", is_time) or NO_TIME
    return NO_DATE, NO_TIME


def _is_offset(value: str) -> bool:
    return re.fullmatch("[+-](0[0-9]|1[0-4])[0-5][0-9]", value) is not None
