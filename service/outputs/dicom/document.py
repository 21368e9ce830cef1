"""What reports have besides their content (PS3.3 C.17.1, C.17.2)."""

from collections.abc import Sequence
from dataclasses import dataclass

from pydicom.dataset import Dataset

from service.outputs.dicom.identity import named_uid
from service.outputs.dicom.reference import Source


@dataclass(frozen=True, slots=True)
class DocumentReference:
    """Which report is meant.

    Attributes
    ----------
    sop_class_uid, sop_instance_uid, series_instance_uid, study_instance_uid
        Its own.
    """

    sop_class_uid: str
    sop_instance_uid: str
    series_instance_uid: str
    study_instance_uid: str


def set_document(dataset: Dataset, source: Source) -> None:
    """Set SR Document Series and General: complete, unverified, preliminary, on one image."""
    dataset.ReferencedPerformedProcedureStepSequence = []
    dataset.PerformedProcedureCodeSequence = []
    dataset.CompletionFlag = "COMPLETE"
    dataset.VerificationFlag = "UNVERIFIED"
    dataset.PreliminaryFlag = "PRELIMINARY"
    if source.series_instance_uid:
        image = DocumentReference(
            source.sop_class_uid,
            source.sop_instance_uid,
            source.series_instance_uid,
            source.study_instance_uid,
        )
        dataset.CurrentRequestedProcedureEvidenceSequence = [_reference(image)]


def supersede(dataset: Dataset, predecessors: Sequence[DocumentReference]) -> None:
    """Say which earlier reports on the image a report replaces.

    Predecessor Documents Sequence (PS3.3 C.17.2) is what the standard has for a report that was
    amended. The report is then another object than without, so it gets another UID.
    """
    if not predecessors:
        return
    dataset.PredecessorDocumentsSequence = [_reference(each) for each in predecessors]
    uids = [each.sop_instance_uid for each in predecessors]
    dataset.SOPInstanceUID = named_uid(str(dataset.SOPInstanceUID), "instead of", *uids)


def _reference(to: DocumentReference) -> Dataset:
    """Make an item of the Hierarchical SOP Instance Reference macro (PS3.3 C.17.2.1)."""
    instance, series, study = Dataset(), Dataset(), Dataset()
    instance.ReferencedSOPClassUID = to.sop_class_uid
    instance.ReferencedSOPInstanceUID = to.sop_instance_uid
    series.SeriesInstanceUID = to.series_instance_uid
    series.ReferencedSOPSequence = [instance]
    study.StudyInstanceUID = to.study_instance_uid
    study.ReferencedSeriesSequence = [series]
    return study
