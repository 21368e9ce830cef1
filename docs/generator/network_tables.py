"""Tables of what goes over the network, for the conformance statement (PS3.2), from the code."""

from collections.abc import Callable, Iterable, Iterator
from itertools import groupby
from typing import Any

import httpx
from pydicom._uid_dict import UID_dictionary
from pydicom.charset import python_encoding
from pydicom.dataset import Dataset
from pydicom.uid import UID
from pynetdicom import AE, sop_class

from service.destinations.contexts import proposed_contexts
from service.dicomweb.archive import Archive, InstanceUids
from service.dicomweb.stow_answer import judge
from service.dimse.associate_pdus import REJECT
from service.dimse.store_status import NotDelivered, warning_of
from service.inbox.association_request import (
    INVALID,
    NO_SLOT,
    NOT_THAT_CALLER,
    NOT_THAT_VERSION,
    UNRECOGNIZED,
)
from service.inbox.scp import application_entity
from service.outputs.dicom import not_run
from service.outputs.dicom.registry import OUTPUTS, dicom_file, syntaxes_of
from service.outputs.dicom.text import declared_character_set
from service.settings import Settings
from service.tls_files import DICOM_SUITES
from tests.findings_by_hand import findings_by_hand
from tests.mammogram_headers import full_header

CONFIGURED = (
    "host", "port", "keys_file", "oidc_issuer", "oidc_audience", "allow_anonymous",
    "tls_certificate", "tls_key", "tls_client_ca", "scp_port", "scp_ae_title", "scp_callers",
    "scp_associations", "scp_pdu_bytes",
    "scp_tls_certificate", "scp_tls_key", "scp_tls_client_ca", "upload_timeout_s", "max_body_mib",
    "max_study_mib", "max_study_instances", "study_timeout_s", "accept_modalities", "destinations",
    "inbox", "inbox_mib", "inbox_results", "inbox_report_not_run", "delivery_attempts",
    "retry_first_s", "retry_longest_s",
    "audit", "audit_ca", "audit_certificate", "audit_key", "audit_folder", "audit_mib",
    "audit_source", "audit_site",
)  # fmt: skip
"""Settings that conformance depends on."""


def _is_read(term: str) -> bool:
    header = Dataset()
    header.SpecificCharacterSet = term
    return declared_character_set(header) == (term,)


CHARACTER_SETS = tuple(filter(_is_read, filter(None, python_encoding)))
"""Defined terms (PS3.3 C.12.1.1.2) by which text is read."""

NAMES = {
    str(uid): name
    for name, uid in vars(sop_class).items()
    if isinstance(uid, UID) and uid not in UID_dictionary
}
"""Of SOP classes that pydicom's dictionary does not have yet, pynetdicom's keywords."""


def default_entity() -> AE:
    """Return `mammoseg scp` as it is without settings."""
    defaults = {name: field.get_default() for name, field in Settings.model_fields.items()}
    return application_entity(Settings.model_construct(**defaults))


def storage_classes() -> list[str]:
    """Return the storage SOP classes that `mammoseg scp` accepts."""
    contexts = filter(is_storage, default_entity().supported_contexts)
    return sorted((str(each.abstract_syntax) for each in contexts), key=_by_number)


def is_storage(context: Any) -> bool:
    """Say whether a presentation context is one of the Storage Service Class."""
    return str(context.abstract_syntax).startswith("1.2.840.10008.5.")


def storage_syntaxes() -> list[str]:
    """Return the transfer syntaxes in which it accepts them, the preferred first."""
    accepted = {
        tuple(map(str, each.transfer_syntax))
        for each in default_entity().supported_contexts
        if is_storage(each)
    }
    (syntaxes,) = accepted
    return list(syntaxes)


def storage_class_table() -> str:
    """Return the storage SOP classes that `mammoseg scp` accepts."""
    return _table(("SOP class", "UID"), ((_name(uid), uid) for uid in storage_classes()))


def storage_syntax_table() -> str:
    """Return the transfer syntaxes of storage."""
    return _table(("Transfer syntax", "UID"), ((_name(uid), uid) for uid in storage_syntaxes()))


def other_context_table() -> str:
    """Return what else `mammoseg scp` accepts."""
    rows = []
    for each in default_entity().supported_contexts:
        if not is_storage(each):
            roles = "SCU and SCP" if each.scp_role else "SCP"
            uid = str(each.abstract_syntax)
            rows += [(_name(uid), uid, _name(str(one)), roles) for one in each.transfer_syntax]
    return _table(("SOP class", "UID", "Transfer syntax", "Our role"), rows)


def proposed_table() -> str:
    """Return what is proposed to an archive, if all kinds of results are to go there."""
    contexts = proposed_contexts(syntaxes_of(OUTPUTS) | not_run.SYNTAXES, commitment=True)
    return _table(
        ("SOP class", "UID", "Transfer syntaxes of the context", "Our role"),
        (
            (
                _name(str(each.abstract_syntax)),
                str(each.abstract_syntax),
                ", ".join(_name(str(syntax)) for syntax in each.transfer_syntax),
                "SCU",
            )
            for each in contexts
        ),
    )


def results_table() -> str:
    """Return the kinds of objects that are made."""
    made = [(kind, made.sop_class_uid, made.transfer_syntax_uid) for kind, made in OUTPUTS.items()]
    made += [
        (not_run.NOT_RUN_KIND.name, sop_class, syntax)
        for sop_class, syntaxes in not_run.SYNTAXES.items()
        for syntax in syntaxes
    ]
    return _table(
        ("Key", "SOP class", "UID", "Transfer syntax"),
        ((f"`{kind}`", _name(uid), uid, _name(syntax)) for kind, uid, syntax in made),
    )


def store_status_table() -> str:
    """Return what each status of C-STORE, or Failure Reason of STOW-RS, leads to."""
    return _table(
        ("Status", "Then"),
        ((codes, then) for codes, then in _ranges(range(0x10000), _after_status, "{:04X}")),
    )


def http_status_table() -> str:
    """Return what each HTTP status of a STOW-RS answer without a reason leads to."""
    return _table(
        ("HTTP status", "Then"),
        ((codes, then) for codes, then in _ranges(range(200, 600), _after_http, "{}")),
    )


def rejection_table() -> str:
    """Return how `mammoseg scp` turns callers away (PS3.8 9.3.4, 9.3.8)."""
    when = {
        NOT_THAT_VERSION: "the protocol version is not 1",
        NOT_THAT_CALLER: "the calling AE title is not in `SCP_CALLERS`",
        NO_SLOT: "`SCP_ASSOCIATIONS` associations are open",
        UNRECOGNIZED: "the first PDU is no A-ASSOCIATE-RQ",
        INVALID: "the request breaks off, is malformed, or is longer than 1 MiB",
    }
    rows = []
    for answer, why in when.items():
        if answer[0] == REJECT:
            result, source, reason = answer[7:10]
            rows.append((why, "A-ASSOCIATE-RJ", str(result), str(source), str(reason)))
        else:
            rows.append((why, "A-ABORT", "", str(answer[8]), str(answer[9])))
    return _table(("When", "PDU", "Result", "Source", "Reason"), rows)


def request_table() -> str:
    """Return the requests of `mammoseg pull`, as it makes them of a study with one mammogram."""
    study, series, instance = "1.2.3", "1.2.3.4", "1.2.3.4.5"
    asked: list[httpx.Request] = []
    found = {"0020000E": [series], "00080018": [instance], "00080060": ["MG"]}

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append(request)
        if request.method == "POST":
            return httpx.Response(200, json={})
        if "offset" in request.url.params and request.url.params["offset"] == "0":
            return httpx.Response(200, json=[{tag: {"Value": v} for tag, v in found.items()}])
        return httpx.Response(204 if "offset" in request.url.params else 200, content=b"file")

    archive = Archive("http://pacs/dicom-web", study)
    archive._server._client = httpx.Client(transport=httpx.MockTransport(answer))
    list(archive.mammograms(["MG"]))
    archive.retrieve(InstanceUids(series, instance))
    archive.store([dicom_file("sr", findings_by_hand(), full_header())])
    return _table(("Request", "Query", "Accept", "Body"), dict.fromkeys(map(_request_row, asked)))


def character_set_table() -> str:
    """Return the character sets by which text is read."""
    return _table(("Defined term",), ((f"`{term}`",) for term in CHARACTER_SETS))


def cipher_table() -> str:
    """Return the cipher suites of TLS 1.2 under DICOM, in OpenSSL's names."""
    return _table(("Cipher suite of TLS 1.2",), ((f"`{suite}`",) for suite in DICOM_SUITES))


def configuration_table() -> str:
    """Return the settings that conformance depends on."""
    rows = []
    for name in CONFIGURED:
        field = Settings.model_fields[name]
        default = field.get_default()
        if isinstance(default, (frozenset, tuple)):
            default = ", ".join(sorted(map(str, default))) or None
        rows.append(
            (f"`{name.upper()}`", "none" if default is None else f"`{default}`",
             field.description or "")
        )  # fmt: skip
    return _table(("Setting", "Default", "What it is"), rows)


def _request_row(request: httpx.Request) -> tuple[str, ...]:
    path = request.url.path.replace("/dicom-web", "")
    for uid, name in (("1.2.3.4.5", "instance"), ("1.2.3.4", "series"), ("1.2.3", "study")):
        path = path.replace(f"/{uid}", f"/{{{name}}}")
    query = ", ".join(f"`{key}`" for key in request.url.params)
    body = request.headers.get("content-type", "").partition("; boundary")[0]
    accept = request.headers["accept"]
    return (
        f"`{request.method} {path}`", query, f"`{accept}`", f"`{body}`" if body else "",
    )  # fmt: skip


def _after_status(status: int) -> str:
    return _after(lambda: warning_of(status))


def _after_http(status: int) -> str:
    return _after(lambda: judge(status, b""))


def _after(judged: Callable[[], int | None]) -> str:
    try:
        warning = judged()
    except NotDelivered as failure:
        if failure.permanent:
            return "a dead letter at once"
        return "tried again" if failure.reachable else "tried again; the whole queue waits"
    return "delivered" if warning is None else "delivered; `inbox-warning` in the log"


def _ranges(
    codes: Iterable[int], then: Callable[[int], str], form: str
) -> Iterator[tuple[str, str]]:
    """Return what codes lead to, each outcome with its ranges of codes."""
    ranges: dict[str, list[str]] = {}
    for outcome, run in groupby(codes, then):
        first, *_, last = (each := [*run])[0], each[-1]
        said = form.format(first) if first == last else f"{form} to {form}".format(first, last)
        ranges.setdefault(outcome, []).append(said)
    for outcome, runs in ranges.items():
        yield ", ".join(runs), outcome


def _table(heads: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    lines = [f"| {' | '.join(heads)} |", "|---" * len(heads) + "|"]
    lines += [f"| {' | '.join(row)} |" for row in rows]
    return "\n".join(lines)


def _name(uid: str) -> str:
    return UID_dictionary[uid][0] if uid in UID_dictionary else NAMES[uid]


def _by_number(uid: str) -> list[int]:
    return [int(part) for part in uid.split(".")]
