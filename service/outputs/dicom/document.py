"""What reports have besides their content (PS3.3 C.17.1, C.17.2)."""

from pydicom.dataset import Dataset

from service.outputs.dicom.reference import Source


def set_document(dataset: Dataset, source: Source) -> None:
    """Set SR Document Series and General: complete, unverified, preliminary, on one image."""
    dataset.ReferencedPerformedProcedureStepSequence = []
    dataset.PerformedProcedureCodeSequence = []
    dataset.CompletionFlag = "COMPLETE"
    dataset.VerificationFlag = "UNVERIFIED"
    dataset.PreliminaryFlag = "PRELIMINARY"
    dataset.CurrentRequestedProcedureEvidenceSequence = [_evidence(source)]


def _evidence(source: Source) -> Dataset:
    instance, series, study = Dataset(), Dataset(), Dataset()
    instance.ReferencedSOPClassUID = source.sop_class_uid
    instance.ReferencedSOPInstanceUID = source.sop_instance_uid
    series.SeriesInstanceUID = source.series_instance_uid
    series.ReferencedSOPSequence = [instance]
    study.StudyInstanceUID = source.study_instance_uid
    study.ReferencedSeriesSequence = [series]
    return study
