"""What `mammoseg archive` does."""

import os
from collections.abc import Iterable
from dataclasses import dataclass
from functools import partial
from importlib.util import find_spec
from pathlib import Path

from service.audit.trail import AuditTrail
from service.batch.archive.audited import ArchiveAudit
from service.batch.archive.engine import Engine, ThisMachine, on_ray
from service.batch.archive.items import Query
from service.batch.archive.judge import Assignment
from service.batch.archive.ledger import Ledger
from service.batch.archive.listing import Listed, list_files, list_instances, query_of
from service.batch.made_by import made_by
from service.batch.report import Report
from service.batch.results import options_for
from service.commands.long_runs import ended_by_sigterm, exit_status_of, spacing_or_fail
from service.dicomweb.search import ServerFailed
from service.errors import StartupError
from service.exit_status import SOME_FAILED
from service.integration.commands import dicomweb_credentials
from service.logs import configure_logs
from service.segmenter import SegmentOptions
from service.settings import Settings
from service.telemetry.inference_line import Pseudonyms
from service.telemetry.opening import read_secret
from service.terminal import console, fail, settings_or_exit, stderr


@dataclass(frozen=True, slots=True)
class OnRay:
    """Where Ray is, and what a worker of it takes; see `service.batch.archive.on_ray`."""

    address: str
    workers: int | None
    cpus: int
    gpus: float


@dataclass(frozen=True, slots=True)
class Choices:
    """What the command line says, beside the archive.

    Attributes
    ----------
    out
        Folder for the results.
    formats
        Files of each image.
    pseudonymous
        No UIDs in scores and regions.
    gate, frame
        As of `SegmentOptions`.
    pixel_spacing_mm
        As it was written; None for what the images say.
    quiet
        No bar, no summary on the terminal.
    ray
        None for this machine.
    """

    out: Path
    formats: tuple[str, ...]
    pseudonymous: bool
    gate: bool
    frame: int | None
    pixel_spacing_mm: str | None
    quiet: bool
    ray: OnRay | None


def run(source: str, choices: Choices) -> int:
    """Segment an archive; return the exit status."""
    settings = settings_or_exit()
    configure_logs("warning", "console")
    try:
        query = query_of(source, dicomweb_credentials())
    except ValueError as error:
        fail(f"{source.split('?')[0] if '@' not in source else 'the URL'}: {error}")
    with Report(console, stderr, quiet=choices.quiet) as report, ended_by_sigterm():
        return exit_status_of(partial(_work, source, query, settings, choices, report))


def _work(
    source: str, query: Query | None, settings: Settings, choices: Choices, report: Report
) -> int:
    if find_spec("pyarrow") is None:
        raise StartupError("PyArrow is not installed: pip install '.[archive]' in the checkout")
    assignment = _assignment(query, settings, choices)
    engine = _engine(assignment, choices.ray)
    with AuditTrail("mammoseg archive", settings.audit_options(settings.inbox)) as trail:
        audit = ArchiveAudit(trail, choices.out, query)
        listed = _listed(source, query, settings, choices.out, audit)
        bound = _bound(source, query, assignment)
        modalities = settings.read_limits().accept_modalities
        return _judged(listed, engine, choices, report, audit, bound, modalities)


def _judged(
    listed: Listed,
    engine: Engine,
    choices: Choices,
    report: Report,
    audit: ArchiveAudit,
    bound: dict[str, str],
    modalities: Iterable[str],
) -> int:
    from service.batch.archive.job import ArchiveJob, names_written

    for fault in listed.faults:
        report.fault(fault)
    if not listed.items:
        others = f": {listed.others} files are none" if listed.others else ""
        fail(f"there is no image{others}")
    names = names_written(choices.formats)
    with Ledger(choices.out, bound, names, modalities) as ledger:
        refused = ArchiveJob(ledger, engine, report, audit).run(listed)
    return SOME_FAILED if refused or listed.faults else 0


def _assignment(query: Query | None, settings: Settings, choices: Choices) -> Assignment:
    options = SegmentOptions(
        spacing_or_fail(choices.pixel_spacing_mm), gate=choices.gate, frame=choices.frame
    )
    options = options_for(choices.formats, options)
    secret = read_secret(settings.study_secret_file) if choices.pseudonymous else None
    if choices.pseudonymous and secret is None:
        raise StartupError("--pseudonymous needs MAMMOSEG_STUDY_SECRET_FILE")
    made = made_by(settings, options)
    return Assignment(
        settings, options, choices.formats, made, query, secret, settings.audit is not None
    )


def _engine(assignment: Assignment, ray: OnRay | None) -> Engine:
    if ray is None:
        return ThisMachine(assignment)
    return on_ray(assignment, ray.address, ray.workers, ray.cpus, ray.gpus)


def _listed(
    source: str, query: Query | None, settings: Settings, out: Path, audit: ArchiveAudit
) -> Listed:
    if query is None:
        return list_files(source, out)
    try:
        listed = list_instances(query, settings.read_limits().accept_modalities)
        audit.searched()
        return listed
    except ServerFailed as failure:
        audit.searched(failure.code)
        raise StartupError(f"{query.root} cannot be searched ({failure.code})") from None


def _bound(source: str, query: Query | None, assignment: Assignment) -> dict[str, str]:
    """Return what all results in one folder agree in."""
    where = source if query is not None else os.path.abspath(source)
    names = "pseudonyms" if assignment.secret is not None else "UIDs"
    # Where one study has two names, a table counts one woman as two.
    secret = Pseudonyms(assignment.secret).fingerprint()
    return {
        "archive": os.fsencode(where).decode("utf-8", "backslashreplace"),
        "model or choice of options": assignment.made_by,
        "choice of formats": ",".join(assignment.formats) or "none",
        "choice of names": names,
        "secret for pseudonyms": secret or "none",
    }
