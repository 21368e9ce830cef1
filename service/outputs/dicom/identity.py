"""UIDs that follow from what a result is: the same image, model and choices give the same object.

A UID is a name-based UUID (RFC 9562, version 5) in decimal under 2.25 (PS3.5 B.2). The name holds
what an object is made of: the source's SOP Instance UID and its pixels (some archives replace an
image under its UID), the model's name, version and sha256, the version of this service (which
writes the object), the pixel spacing in use, whether the mask was shown in spite of the has-mask
decision, and of several frames which. Sent twice, an image gives the same object byte for byte;
asked otherwise, it gives another object, which needs another UID.
"""

import uuid
from dataclasses import dataclass

from service import __version__
from service.findings import Findings, ModelIdentity

NAMESPACE = uuid.UUID("6c4746af-349e-4c9e-b3c0-a02568514cca")
"""Random, once; a change would make every known result look new."""

IMPLEMENTATION_CLASS_UID = f"2.25.{uuid.UUID('6dbcd97e-f8c1-46c8-ac4e-7822700f8705').int}"
"""Names the code that writes the files (PS3.7 D.3.3.2); fixed, not tied to a version."""


def named_uid(*name: str) -> str:
    """Return the UID of a name, at most 44 characters; parts must not hold line breaks."""
    return f"2.25.{uuid.uuid5(NAMESPACE, chr(10).join(name)).int}"


@dataclass(frozen=True, slots=True)
class Origin:
    """Everything that the UIDs of an image's results follow from.

    Attributes
    ----------
    source_uid
        SOP Instance UID of the image.
    pixel_digest
        SHA-256 of its Pixel Data as it came, hex; None where that is not known.
    model
        Which model answers.
    pixel_spacing_mm
        In use, between (row, column) centres; None when it had to be assumed.
    frame
        Number of the frame of a multi-frame object, from 1 on; None for a single image.
    ungated
        The mask is shown in spite of the has-mask decision.
    service_version
        Of the service that writes the objects.
    """

    source_uid: str
    pixel_digest: str | None
    model: ModelIdentity
    pixel_spacing_mm: tuple[float, float] | None
    frame: int | None = None
    ungated: bool = False
    service_version: str = __version__

    def uid(self, *role: str) -> str:
        """Return the UID of one thing made: an object, its series, a finding in it.

        Parameters
        ----------
        role
            What it is for, such as ("seg", "instance"); a finding's does not name the kind of
            object, so that one lesion has one tracking UID in all of them.
        """
        model, spacing = self.model, self.pixel_spacing_mm
        choices = [
            "no spacing" if spacing is None else f"{spacing[0]!r} {spacing[1]!r}",
            "ungated" if self.ungated else "as decided",
            f"pixels {self.pixel_digest}",
        ]
        if self.frame is not None:
            choices.append(f"frame {self.frame}")
        made_by = (model.name, model.version, model.sha256, self.service_version)
        return named_uid(self.source_uid, *made_by, *choices, *role)


def result_uid(findings: Findings, source_uid: str, *role: str) -> str:
    """Return the UID of something made from findings in an image; see `Origin.uid`."""
    origin = Origin(
        source_uid,
        findings.mammogram.pixel_digest,
        findings.model,
        findings.mammogram.pixel_spacing_mm,
        frame=findings.frame,
        ungated=not findings.gated and not findings.has_mask.decision,
    )
    return origin.uid(*role)


def device_uid(model: ModelIdentity) -> str:
    """Return the UID of the observer, which is the model."""
    return named_uid("device", model.name, model.version, model.sha256)
