"""How results name the algorithm that made them, and what they say of its standing."""

from service.findings import Findings
from service.outputs.dicom.text import long_string

MANUFACTURER = "mammoseg project"
RESEARCH_ONLY = "AI, research use only"
UNAPPROVED = (
    "Unapproved research result: not a medical device, not for diagnosis or treatment. "
    "A lesion found may be benign or malignant; none found does not mean that there is none."
)


def name(findings: Findings) -> str:
    """Give the algorithm's name, the model's."""
    return long_string(findings.model.name)


def version(findings: Findings) -> str:
    """Give the algorithm's version, the model's."""
    return long_string(findings.model.version)


def parameters(findings: Findings) -> dict[str, str]:
    """Give what the algorithm ran with."""
    return {
        "sha256": findings.model.sha256,
        "has-mask threshold": f"{findings.has_mask.threshold:.6g}",
        "gated": "yes" if findings.gated else "no",
    }
