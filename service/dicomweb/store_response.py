"""The Store Instances Response (PS3.18 10.5.3): written as a server, read as a client.

Written as DICOM JSON (PS3.18 annex F); read as that or as the Native DICOM Model (PS3.19 A.1).
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from pydicom.datadict import keyword_for_tag

from service.dicomweb.native_model import datasets_of_xml
from service.dimse.store_status import PROCESSING_FAILURE

DICOM_JSON = "application/dicom+json"

# Of the Store Instances Response Module (PS3.18 I.2). Other Failures is for what has no valid UIDs.
RETRIEVE_URL = "00081190"
FAILED_SOP_SEQUENCE = "00081198"
REFERENCED_SOP_SEQUENCE = "00081199"
OTHER_FAILURES_SEQUENCE = "0008119A"
FAILURES = (FAILED_SOP_SEQUENCE, OTHER_FAILURES_SEQUENCE)
MODULE = (RETRIEVE_URL, REFERENCED_SOP_SEQUENCE, *FAILURES)
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


@dataclass(frozen=True, slots=True)
class StoreOutcome:
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


@dataclass(frozen=True, slots=True)
class ReadResponse:
    """What another server says of the one object that was sent.

    Attributes
    ----------
    failure
        Failure Reason, Processing Failure where none is given; None without a failure.
    warning
        Warning Reason, or None.
    """

    failure: int | None
    warning: int | None


def response_status(outcomes: Sequence[StoreOutcome]) -> int:
    """Return the HTTP status of PS3.18 table 10.5.3-1."""
    failed = sum(outcome.failure is not None for outcome in outcomes)
    if failed == len(outcomes):
        return 409
    return 202 if failed or any(outcome.warning is not None for outcome in outcomes) else 200


def store_response(outcomes: Sequence[StoreOutcome]) -> dict[str, Any]:
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


def read_response(body: bytes) -> ReadResponse | None:
    """Read what an answer says of the one object that was sent; None where it is no such answer.

    That is one in JSON or in XML, whatever its Content-Type, with an element of the module, by tag
    or by keyword. The dataset may stand in a list, as datasets of a search do. An answer that is
    empty, of no bytes or of no elements, says nothing.

    Whatever stands in the Failed SOP Sequence (0008,1198) is of that object, without its UID or
    with another one, too.
    """
    datasets = _datasets(body)
    if datasets is None:
        return None
    elements = [element for dataset in datasets for element in _of_module(dataset)]
    if not elements and any(dataset not in (None, {}) for dataset in datasets):
        return None
    of = {
        tag: [item for each, items in elements if each == tag for item in items] for tag in MODULE
    }
    failed = of[FAILED_SOP_SEQUENCE] + of[OTHER_FAILURES_SEQUENCE]
    stored = of[REFERENCED_SOP_SEQUENCE]
    return ReadResponse(
        (_integer(failed[0], FAILURE_REASON) or PROCESSING_FAILURE) if failed else None,
        _integer(stored[0], WARNING_REASON) if stored else None,
    )


def _datasets(body: bytes) -> list[Any] | None:
    if not body.strip():
        return []
    try:
        answer = json.loads(body)
    except UnicodeDecodeError:
        # Comments in another character set, which some servers write, do not matter.
        return _datasets(body.decode("ascii", "replace").encode())
    except (ValueError, RecursionError):
        return datasets_of_xml(body)
    return answer if isinstance(answer, list) else [] if answer is None else [answer]


def _of_module(dataset: object) -> list[tuple[str, list[Any]]]:
    """Return the elements of the Store Instances Response Module, each with its values."""
    return [(tag, values) for tag in MODULE if (values := _values(dataset, tag)) is not None]


def _integer(item: object, tag: str) -> int | None:
    return next((value for value in _values(item, tag) or () if isinstance(value, int)), None)


def _values(dataset: object, tag: str) -> list[Any] | None:
    """Return the values of an element; None where there is none."""
    if not isinstance(dataset, dict):
        return None
    names = (tag.casefold(), keyword_for_tag(tag).casefold())
    found = [element for name, element in dataset.items() if name.casefold() in names]
    if not found:
        return None
    # Some servers write a value without its representation, or a single one without a list.
    value = found[0].get("Value") if isinstance(found[0], dict) else found[0]
    return value if isinstance(value, list) else [] if value is None else [value]


def _is_known_failure(outcome: StoreOutcome) -> bool:
    return outcome.failure is not None and None not in (
        outcome.sop_class_uid,
        outcome.sop_instance_uid,
    )


def _stored(outcome: StoreOutcome) -> dict[str, Any]:
    warning = {} if outcome.warning is None else _code(WARNING_REASON, outcome.warning)
    return _reference(outcome) | {RETRIEVE_URL: {"vr": "UR"}} | warning


def _failed(outcome: StoreOutcome) -> dict[str, Any]:
    return _reference(outcome) | _code(FAILURE_REASON, outcome.failure)


def _reference(outcome: StoreOutcome) -> dict[str, Any]:
    return {
        REFERENCED_SOP_CLASS_UID: {"vr": "UI", "Value": [outcome.sop_class_uid]},
        REFERENCED_SOP_INSTANCE_UID: {"vr": "UI", "Value": [outcome.sop_instance_uid]},
    }


def _code(tag: str, value: int | None) -> dict[str, Any]:
    return {tag: {"vr": "US", "Value": [value]}}
