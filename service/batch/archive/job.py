"""One call of `mammoseg archive`: what is left to do is done, written down, and summed up."""

import json
import time
from collections import Counter
from typing import Any

from service import __version__
from service.batch.archive.audited import ArchiveAudit
from service.batch.archive.engine import Engine
from service.batch.archive.items import Item, shown
from service.batch.archive.judge import FOLDER, Answer
from service.batch.archive.ledger import Ledger
from service.batch.archive.listing import Listed
from service.batch.archive.tables import TABLES, write_tables
from service.batch.report import Report
from service.batch.results import NotWritten, write_file
from service.batch.run import ItemOutcome

SUMMARY_NAME = "summary.json"

MAX_SHOWN = 20
"""Refusals on the terminal; all are in `items.parquet`."""

NO_ANSWER = ("no-answer", "The engine ended without saying what came of it.")


def names_written(formats: tuple[str, ...]) -> tuple[str, ...]:
    """Return what a job writes into the folder of its results, with files of these formats."""
    return (*TABLES, SUMMARY_NAME, *((FOLDER,) if formats else ()))


class ArchiveJob:
    """What is to be done with the items of an archive.

    Parameters
    ----------
    ledger
        Of the folder of the results.
    engine
        Who does it.
    report
        Who is told.
    audit
        Who is told whose images they are.
    """

    def __init__(self, ledger: Ledger, engine: Engine, report: Report, audit: ArchiveAudit) -> None:
        self._ledger, self._engine, self._report = ledger, engine, report
        self._audit = audit
        self._counts: Counter[str] = Counter()
        self._seconds = 0.0

    def run(self, listed: Listed) -> int:
        """Do what is not done yet; write the tables and the summary.

        Returns
        -------
        How many items were refused.

        Raises
        ------
        StartupError, DeviceFailed, EngineFailed
            As of the engine's `run`.
        NotWritten
            Results cannot be written.
        """
        left: dict[bytes, tuple[Item, str]] = {}
        for item in listed.items:
            version = item.version()
            if self._ledger.is_settled(item, version):
                self._counts["kept"] += 1
            else:
                left[item.location] = item, version
        if left:
            self._segment(left)
        write_tables(self._ledger)
        summary = self._summary(listed)
        folder = self._ledger.folder
        write_file(folder / SUMMARY_NAME, json.dumps(summary, indent=1).encode("ascii"))
        self._report.end((), self._counts, folder, None)
        return self._counts["refused"]

    def _segment(self, left: dict[bytes, tuple[Item, str]]) -> None:
        self._report.opening()
        started_s = time.monotonic()
        answers = self._engine.run([item for item, _ in left.values()])
        self._report.begin(len(left))
        try:
            for answer in answers:
                # An item that is answered twice counts once.
                _, version = left.pop(answer.item.location, (None, None))
                if version is not None:
                    self._take(answer, version)
                    self._report.advance()
        finally:
            answers.close()
            self._seconds = time.monotonic() - started_s
        for item, version in left.values():
            self._take(
                ItemOutcome(item, "refused", problem=NO_ANSWER, is_unavailable=True), version
            )

    def _take(self, answer: Answer, version: str) -> None:
        if answer.item.version() != version:
            # Of what was read, nobody knows which it was: the next run looks at it again.
            version = ""
        try:
            state, problem = self._ledger.take(answer, version)
        except NotWritten:
            self._audit.not_written(answer)
            raise
        self._audit.taken(answer, state)
        self._counts[state] += 1
        if state != "refused" or problem is None:
            return
        code, detail = problem
        if self._counts["refused"] <= MAX_SHOWN:
            self._report.fault(f"{shown(answer.item.location)}: {detail} ({code})")
        elif self._counts["refused"] == MAX_SHOWN + 1:
            self._report.fault("further ones that are refused are in items.parquet")

    def _summary(self, listed: Listed) -> dict[str, Any]:
        states, codes = self._ledger.counts()
        images, positive, regions = self._ledger.totals()
        rate = self._counts["done"] / self._seconds if self._seconds else None
        return {
            **self._ledger.bound,
            "version": __version__,
            "engine": self._engine.name,
            "this_run": {
                "listed": len(listed.items),
                **{
                    name: self._counts[name]
                    for name in ("done", "kept", "duplicate", "passed-over", "refused")
                },
                "no_image": listed.others,
                "faults": listed.faults,
                "seconds": round(self._seconds, 3),
                "images_per_second": rate and round(rate, 3),
            },
            "items": states,
            "codes": codes,
            "images": images,
            "decided_yes": positive,
            "regions": regions,
        }
