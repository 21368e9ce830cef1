"""What DICOM results call a finding of a model that tells classes of lesions apart."""

from pydicom.sr.coding import Code

from service.findings import Findings, label_of
from service.imaging.regions import Region
from service.outputs.dicom.codes import LESION


def lesion_code(findings: Findings, region: Region) -> Code:
    """Return the coded class of a region; "Lesion" where there is none, or nobody coded it."""
    label = label_of(region, findings.model)
    if label is None or label.code is None:
        return LESION
    return Code(label.code.value, label.code.scheme, label.code.meaning)


def named(identifier: str, findings: Findings, region: Region) -> str:
    """Return a finding's identifier with the name of its class, where it has one."""
    label = label_of(region, findings.model)
    return identifier if label is None else f"{identifier}: {label.name}"
