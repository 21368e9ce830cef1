"""How results name the algorithm that made them, and what they say of its standing."""

from typing import TypedDict

from service.findings import Findings, ModelIdentity
from service.outputs.dicom.text import long_string

MANUFACTURER = "mammoseg project"
RESEARCH_ONLY = "AI, research use only"
UNAPPROVED = (
    "Unapproved research result: not a medical device, not for diagnosis or treatment. "
    "A lesion found may be benign or malignant; none found does not mean that there is none."
)

MAX_SHORT_TEXT = 1024
"""Characters of a value of ST (PS3.5 6.2)."""


class Equipment(TypedDict):
    """Arguments by which highdicom names what made an object, and what the object says it is."""

    manufacturer: str
    manufacturer_model_name: str
    software_versions: str
    device_serial_number: str
    content_label: str
    content_description: str


def name(findings: Findings) -> str:
    """Return the algorithm's name, the model's."""
    return long_string(findings.model.name)


def version(findings: Findings) -> str:
    """Return the algorithm's version, the model's."""
    return long_string(findings.model.version)


UNPROVEN = "unproven"
"""What results say of a model that nobody compared with its own framework."""


def standing(model: ModelIdentity) -> str:
    """Return the model's version, and that it is unproven where it is."""
    return long_string(f"{model.version} {UNPROVEN}" if model.unproven else model.version)


def parameters(findings: Findings) -> dict[str, str]:
    """Return what the algorithm ran with."""
    ran_with = {
        "sha256": findings.model.sha256,
        "has-mask threshold": f"{findings.has_mask.threshold:.6g}",
        "gated": "yes" if findings.gated else "no",
    }
    return ran_with | ({"proof": UNPROVEN} if findings.model.unproven else {})


def warnings(findings: Findings) -> list[str]:
    """Return what has to be known of the findings besides, a sentence each without patient data."""
    return [f"Warning: {caveat.detail}" for caveat in findings.caveats]


def with_warnings(words: str, findings: Findings) -> str:
    """Add the warnings to a few words, by their codes: where there is no room for sentences."""
    named = ", ".join(caveat.code for caveat in findings.caveats)
    return f"{words}; warnings: {named}"[:MAX_SHORT_TEXT] if named else words


def equipment(findings: Findings) -> Equipment:
    """Return what segmentation and presentation state say of their maker (PS3.3 C.7.5.2)."""
    return Equipment(
        manufacturer=MANUFACTURER,
        manufacturer_model_name=name(findings),
        software_versions=standing(findings.model),
        device_serial_number="0",
        content_label="LESION",
        content_description=RESEARCH_ONLY,
    )
