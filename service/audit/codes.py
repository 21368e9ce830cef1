"""Codes of audit messages (PS3.16 CID 400 to 405; RFC 3881 as PS3.15 A.5.1.2 uses it)."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Code:
    """A coded value, with the words that stand for it."""

    value: str
    meaning: str
    system: str = "DCM"


APPLICATION_ACTIVITY = Code("110100", "Application Activity")
BEGIN_TRANSFERRING = Code("110102", "Begin Transferring DICOM Instances")
INSTANCES_ACCESSED = Code("110103", "DICOM Instances Accessed")
INSTANCES_TRANSFERRED = Code("110104", "DICOM Instances Transferred")
EXPORT = Code("110106", "Export")
IMPORT = Code("110107", "Import")
QUERY = Code("110112", "Query")
SECURITY_ALERT = Code("110113", "Security Alert")
USER_AUTHENTICATION = Code("110114", "User Authentication")

APPLICATION_START = Code("110120", "Application Start")
APPLICATION_STOP = Code("110121", "Application Stop")
LOGIN = Code("110122", "Login")
NODE_AUTHENTICATION = Code("110126", "Node Authentication")
RESTRICTED_FUNCTION = Code("110132", "Use of Restricted Function")
RECORDING_STOPPED = Code("110133", "Audit Recording Stopped")
RECORDING_STARTED = Code("110134", "Audit Recording Started")

APPLICATION = Code("110150", "Application")
DESTINATION = Code("110152", "Destination Role ID")
SOURCE = Code("110153", "Source Role ID")
DESTINATION_MEDIA = Code("110154", "Destination Media")
SOURCE_MEDIA = Code("110155", "Source Media")

URI = Code("110037", "URI")
"""Of media: a place in a file system."""

STUDY_INSTANCE_UID = Code("110180", "Study Instance UID")
PATIENT_NUMBER = Code("2", "Patient Number", "RFC-3881")
SEARCH_CRITERIA = Code("10", "Search Criteria", "RFC-3881")
