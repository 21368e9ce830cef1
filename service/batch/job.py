"""One call of `mammoseg segment`: what is left to do is done, and said."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from service.audit.folders import FolderAudit
from service.audit.trail import NO_TRAIL, AuditTrail
from service.batch.audited import audited
from service.batch.bodies import FileBody, look_at
from service.batch.fingerprint import Fingerprint
from service.batch.journal import TAKEN, Journal
from service.batch.journal_line import Row
from service.batch.made_by import made_by
from service.batch.report import Report
from service.batch.results import (
    CSV_NAME,
    BadName,
    NotWritten,
    file_names,
    make_files,
    options_for,
    write_file,
    write_files,
)
from service.batch.rows import refused_row, row_of, to_csv
from service.batch.run import Batch, ItemOutcome, Task
from service.batch.sources import Source
from service.errors import StartupError
from service.findings import Findings
from service.segmenter import SegmentOptions
from service.settings import Settings
from service.startup.models import open_segmenter
from service.system.cores import available_cores


@dataclass(frozen=True, slots=True)
class Written:
    """What was made of one image; its files are there.

    Attributes
    ----------
    row
        Of the table and the CSV.
    files
        Sizes of the result files, bytes, by name.
    seen
        The image's file, as it was read.
    """

    row: Row
    files: dict[str, int]
    seen: Fingerprint


class Job:
    """What is to be done with files, and the folder that it is done into.

    Parameters
    ----------
    settings
        Of the service: model, device, memory.
    options
        The caller's choices.
    formats
        Results to make; see `results.FORMATS`.
    out
        Folder for them.
    overwrite
        Do again what is done, and replace files that are not of an earlier run.

    Raises
    ------
    ContractError
        The model file cannot be read.
    NotWritten
        The folder cannot be written, or another process writes into it.
    """

    def __init__(
        self,
        settings: Settings,
        options: SegmentOptions,
        formats: tuple[str, ...],
        out: Path,
        *,
        overwrite: bool = False,
    ) -> None:
        self._settings, self._formats, self._out = settings, formats, out
        self._options = options_for(formats, options)
        self._overwrite = overwrite
        self._journal = Journal(out, made_by(settings, self._options), overwrite=overwrite)
        self._rows: dict[Source, Row] = {}
        self._counts: Counter[str] = Counter()
        self._audit: AuditTrail = NO_TRAIL

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._journal.close()

    def run(self, sources: list[Source], report: Report) -> int:
        """Do what is not done yet, write the CSV, and show the table.

        Returns
        -------
        How many files were refused.

        Raises
        ------
        StartupError
            Model, device or readers do not start, or the CSV would replace somebody's file.
        NotWritten
            Results cannot be written.
        DeviceFailed
            No further image can be segmented.
        """
        csv = CSV_NAME if "csv" in self._formats else None
        self._journal.protect(sources)
        if csv is not None:
            self._reserve_csv()
        left = [source for source in sources if not self._is_settled(source, report)]
        if left:
            self._segment(left, report)
        rows = [self._rows[source] for source in sources if source in self._rows]
        if csv is not None:
            judged_now = {row["results"] for row in rows if row["problem"] is None}
            earlier = self._journal.rows_beside(judged_now)
            self._write_csv(to_csv([*earlier, *rows]))
        judged = [row for row in rows if row["problem"] is None]
        report.end(judged, self._counts, self._out, csv)
        return self._counts["refused"]

    def _is_settled(self, source: Source, report: Report) -> bool:
        """Say whether nothing is left to do for a file: it is done, or its results have no name."""
        files = file_names(source.name, self._formats)
        row = None if self._overwrite else self._journal.done(source, files)
        if row is not None:
            self._counts["kept"] += 1
            self._rows[source] = row
            return True
        is_taken = not self._overwrite and self._journal.is_taken(source)
        problem = TAKEN if is_taken else self._journal.problem(source.name, files)
        if problem is not None:
            self._refuse(source, problem, report)
        return problem is not None

    def _reserve_csv(self) -> None:
        try:
            self._journal.reserve_of_run(CSV_NAME)
        except BadName:
            raise StartupError(
                f"{self._out / CSV_NAME} is of no earlier run, or was changed since: move it away,"
                " take another --out, or --overwrite"
            ) from None

    def _write_csv(self, content: bytes) -> None:
        path = self._out / CSV_NAME
        try:
            self._journal.claim_of_run(CSV_NAME, content)
        except BadName:
            raise NotWritten(
                f"{path} was changed during the run: move it away, and call again"
            ) from None
        write_file(path, content)

    def _segment(self, sources: Iterable[Source], report: Report) -> None:
        sources = list(sources)
        report.opening()
        audit = self._settings.audit_options(self._settings.inbox)
        with (
            open_segmenter(self._settings) as segmenter,
            AuditTrail("mammoseg segment", audit) as self._audit,
        ):
            task = Task(self._options, self._look_at, self._write, self._audit.is_on)
            batch = Batch(segmenter, task, self._settings.memory, available_cores())
            report.begin(len(sources))
            outcomes = batch.run(sources)
            try:
                for outcome in outcomes:
                    self._take(outcome, report)
                    report.advance()
            finally:
                # At once, however it ends: what is in work must not outlive the segmenter.
                outcomes.close()

    def _look_at(self, source: Source) -> FileBody:
        return look_at(source.path, self._settings.max_body_mib << 20)

    def _write(self, source: Source, body: FileBody, content: bytes, findings: Findings) -> Written:
        files = make_files(source.name, self._formats, findings)
        seen = Fingerprint.of(body.told, content)
        with audited(self._audit, findings, source.path.parent, self._out):
            self._journal.claim(source, seen, files)
            write_files(self._out, files)
        sizes = {name: len(content) for name, content in files.items()}
        return Written(row_of(source, findings), sizes, seen)

    def _take(self, outcome: ItemOutcome[Source, Written], report: Report) -> None:
        if outcome.whose is not None:
            folders = FolderAudit(self._audit, self._out)
            folders.read(outcome.item.path.parent, outcome.whose)
        if outcome.state == "refused" and outcome.problem is not None:
            self._refuse(outcome.item, outcome.problem, report)
            return
        self._counts[outcome.state] += 1
        made = outcome.made
        if made is not None:
            self._rows[outcome.item] = made.row
            self._journal.add(outcome.item, made.seen, made.files, made.row)

    def _refuse(self, source: Source, problem: tuple[str, str], report: Report) -> None:
        code, detail = problem
        self._counts["refused"] += 1
        self._rows[source] = refused_row(source, code)
        report.fault(f"{source.path}: {detail} ({code})")
