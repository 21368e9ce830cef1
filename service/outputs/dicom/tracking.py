"""One name for one lesion, in whatever object it appears."""

from service.findings import Findings
from service.outputs.dicom.identity import result_uid
from service.outputs.dicom.reference import Source


def tracking_id(number: int) -> str:
    """Return the label of finding `number`, counted from 1, the most probable first."""
    return f"Finding {number}"


def tracking_uid(findings: Findings, source: Source, number: int) -> str:
    """Return the tracking UID of finding `number`; the same in segmentation and reports."""
    return result_uid(findings, source.sop_instance_uid, "finding", str(number))


def image_tracking_uid(findings: Findings, source: Source) -> str:
    """Return the tracking UID of what is said of the image as a whole."""
    return result_uid(findings, source.sop_instance_uid, "image")
