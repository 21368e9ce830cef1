"""One JSON line an image that the shadow model judged too: its score beside the answer's."""

from datetime import UTC, datetime
from typing import Literal

import msgspec

from service import __version__
from service.findings import Findings
from service.metrics import Source


class ShadowLine(msgspec.Struct, frozen=True):
    """Two models' scores of one image.

    Attributes
    ----------
    time
        When the shadow had judged, UTC, ISO 8601.
    service
        Its version.
    source
        A request or the inbox.
    study, image
        Pseudonyms, as in the line of the inference.
    model_id, model, model_version, sha256, score, decision
        The shadow's.
    answered_by, answered_sha256, answered_score, answered_decision
        Those of the answer that went out.
    difference
        The shadow's score minus the answer's.
    """

    time: str
    service: str
    source: Source
    study: str | None
    image: str | None
    model_id: str
    model: str
    model_version: str
    sha256: str
    score: float
    decision: bool
    answered_by: str
    answered_sha256: str
    answered_score: float
    answered_decision: bool
    difference: float
    event: Literal["shadow"] = "shadow"

    @classmethod
    def of(
        cls, shadow: Findings, answer: "Answer", names: tuple[str | None, str | None]
    ) -> "ShadowLine":
        """Return the line of what the shadow found, beside an answer; `names` are pseudonyms."""
        model, has_mask = shadow.model, shadow.has_mask
        return cls(
            time=datetime.now(UTC).isoformat(timespec="milliseconds"),
            service=__version__,
            source=answer.source,
            study=names[0],
            image=names[1],
            model_id=model.id,
            model=model.name,
            model_version=model.version,
            sha256=model.sha256,
            score=has_mask.score,
            decision=has_mask.decision,
            answered_by=answer.model_id,
            answered_sha256=answer.sha256,
            answered_score=answer.score,
            answered_decision=answer.decision,
            difference=has_mask.score - answer.score,
        )


class Answer(msgspec.Struct, frozen=True):
    """What is kept of an answer to compare with, once it went out.

    Attributes
    ----------
    source
        A request or the inbox.
    model_id, sha256
        Which model answered.
    score, decision
        What it said.
    """

    source: Source
    model_id: str
    sha256: str
    score: float
    decision: bool

    @classmethod
    def of(cls, findings: Findings, source: Source) -> "Answer":
        """Return what is kept of findings."""
        model, has_mask = findings.model, findings.has_mask
        return cls(source, model.id, model.sha256, has_mask.score, has_mask.decision)
