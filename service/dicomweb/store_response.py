"""The Store Instances Response (PS3.18 10.5.3): written as a server, read as a client.

As DICOM JSON (PS3.18 annex F); of an answer in XML only whether, and why, an instance failed.
"""

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from service.dimse.store_status import PROCESSING_FAILURE

DICOM_JSON = "application/dicom+json"

# Of the Store Instances Response Module (PS3.18 I.2). Other Failures is for what has no valid UIDs.
RETRIEVE_URL = "00081190"
FAILED_SOP_SEQUENCE = "00081198"
REFERENCED_SOP_SEQUENCE = "00081199"
OTHER_FAILURES_SEQUENCE = "0008119A"
REFERENCED_SOP_CLASS_UID = "00081150"
REFERENCED_SOP_INSTANCE_UID = "00081155"
WARNING_REASON = "00081196"
FAILURE_REASON = "00081197"

OUT_OF_RESOURCES = 0xA700
OTHER_STUDY = 0xA901
CANNOT_UNDERSTAND = 0xC000
SYNTAX_NOT_SUPPORTED = 0xC122
"""Failure Reason (0008,1197), by PS3.18 table I.2-2: A7xx, A9xx and Cxxx as of C-STORE (PS3.4
B.2.3); C122 is Referenced Transfer Syntax not supported."""

ELEMENTS_DISCARDED = 0xB006
"""Warning Reason (0008,1196): of an instance that came before with other contents, which stand."""

_REASON_IN_XML = re.compile(
    rb"[\"']" + FAILURE_REASON.encode() + rb"[\"'][^>]*>\s*<Value[^>]*>\s*([0-9]{1,5})\s*<"
)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one instance.

    Attributes
    ----------
    sop_class_uid, sop_instance_uid
        Valid UIDs, or None where the instance has none.
    failure
        Failure Reason, or None when it was accepted.
    warning
        Warning Reason of one that was accepted, or None.
    """

    sop_class_uid: str | None
    sop_instance_uid: str | None
    failure: int | None = None
    warning: int | None = None


def response_status(outcomes: Sequence[Outcome]) -> int:
    """Return the HTTP status of PS3.18 table 10.5.3-1."""
    failed = sum(outcome.failure is not None for outcome in outcomes)
    if failed == len(outcomes):
        return 409
    return 202 if failed or any(outcome.warning is not None for outcome in outcomes) else 200


def store_response(outcomes: Sequence[Outcome]) -> dict[str, Any]:
    """Return the Store Instances Response Module (PS3.18 I.2) as DICOM JSON (annex F).

    Nothing can be retrieved here: Retrieve URL stays empty.
    """
    response: dict[str, Any] = {RETRIEVE_URL: {"vr": "UR"}}
    stored = [_stored(outcome) for outcome in outcomes if outcome.failure is None]
    failed = [_failed(outcome) for outcome in outcomes if _is_known_failure(outcome)]
    others = [
        _code(FAILURE_REASON, outcome.failure)
        for outcome in outcomes
        if outcome.failure is not None and not _is_known_failure(outcome)
    ]
    for tag, items in (
        (FAILED_SOP_SEQUENCE, failed),
        (REFERENCED_SOP_SEQUENCE, stored),
        (OTHER_FAILURES_SEQUENCE, others),
    ):
        if items:
            response[tag] = {"vr": "SQ", "Value": items}
    return response


def failure_reason(body: bytes) -> int | None:
    """Find why the one object that was sent was not stored; None where the answer has no failure.

    Whatever stands in the Failed SOP Sequence (0008,1198) is of that object, without its UID or
    with another one, too. The dataset may stand in a list, as datasets of a search do. An answer in
    XML is not taken apart: that it has that sequence at all stands for a failure, with the first
    Failure Reason (0008,1197).
    """
    try:
        answer = json.loads(body)
    except (ValueError, RecursionError):
        if FAILED_SOP_SEQUENCE.encode() not in body:
            return None
        reason = _REASON_IN_XML.search(body)
        return int(reason[1]) if reason else PROCESSING_FAILURE
    datasets = answer if isinstance(answer, list) else [answer]
    for sequence in (FAILED_SOP_SEQUENCE, OTHER_FAILURES_SEQUENCE):
        for dataset in datasets:
            for item in _values(dataset, sequence):
                return _reason(item)
    return None


def warning_reason(body: bytes) -> int | None:
    """Find with what warning the object was stored; None without any, and of an answer in XML."""
    try:
        answer = json.loads(body)
    except (ValueError, RecursionError):
        return None
    for dataset in answer if isinstance(answer, list) else [answer]:
        for item in _values(dataset, REFERENCED_SOP_SEQUENCE):
            return next((w for w in _values(item, WARNING_REASON) if isinstance(w, int)), None)
    return None


def _is_known_failure(outcome: Outcome) -> bool:
    return outcome.failure is not None and None not in (
        outcome.sop_class_uid,
        outcome.sop_instance_uid,
    )


def _stored(outcome: Outcome) -> dict[str, Any]:
    warning = {} if outcome.warning is None else _code(WARNING_REASON, outcome.warning)
    return _reference(outcome) | {RETRIEVE_URL: {"vr": "UR"}} | warning


def _failed(outcome: Outcome) -> dict[str, Any]:
    return _reference(outcome) | _code(FAILURE_REASON, outcome.failure)


def _reference(outcome: Outcome) -> dict[str, Any]:
    return {
        REFERENCED_SOP_CLASS_UID: {"vr": "UI", "Value": [outcome.sop_class_uid]},
        REFERENCED_SOP_INSTANCE_UID: {"vr": "UI", "Value": [outcome.sop_instance_uid]},
    }


def _code(tag: str, value: int | None) -> dict[str, Any]:
    return {tag: {"vr": "US", "Value": [value]}}


def _reason(item: object) -> int:
    reasons = [value for value in _values(item, FAILURE_REASON) if isinstance(value, int)]
    return reasons[0] if reasons else PROCESSING_FAILURE


def _values(dataset: object, tag: str) -> list[Any]:
    element = dataset.get(tag) if isinstance(dataset, dict) else None
    values = element.get("Value") if isinstance(element, dict) else None
    # Some servers write a single value without a list around it.
    return values if isinstance(values, list) else [] if values is None else [values]
