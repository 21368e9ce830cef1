"""What lies in an inbox's folder and not in its database: entered again, or safely set apart.

The database may be lost, or be an older backup than the files. A file with its final name was
promised to a sender, or is a result that no destination may have: it is never deleted unless the
database says that all is done with it.
"""

import contextlib
import hashlib
from dataclasses import dataclass
from pathlib import Path

import structlog
from pydicom.dataset import Dataset

from service.errors import PASSING_CODES, MammosegError, Overloaded
from service.imaging import elements
from service.imaging.dicom import parse
from service.imaging.source_header import HEADER_BYTES
from service.inbox.files import Files, disk_bytes
from service.inbox.header import read_header
from service.inbox.instance_store import InstanceStore
from service.inbox.report_queue import ReportQueue
from service.inbox.states import Arrival, StoredResult
from service.inbox.store_transaction import Bounds, aside_code
from service.outputs.dicom.algorithm import MANUFACTURER
from service.outputs.dicom.not_run import NOT_RUN_KIND
from service.reading.reader import Reader

log = structlog.get_logger("mammoseg")

RECOVERED = "recovered"
"""Kind of a result of which no more is known than that it is ours."""


@dataclass(frozen=True, slots=True)
class Recovered:
    """How many files were entered again, and how many could not be.

    Attributes
    ----------
    sources, results
        In the database now.
    lost
        In the folder `lost` now.
    """

    sources: int
    results: int
    lost: int


class Recovery:
    """Enters what the database does not name; one process at a time, others may work meanwhile.

    Parameters
    ----------
    files, instances, bounds
        The inbox's.
    destinations
        Names of those that a result is sent to where it is not known which of them have it already.
    reader
        Looks at the sources' headers. Results are our own, or else set apart.
    reports
        The inbox's.
    """

    def __init__(
        self,
        files: Files,
        instances: InstanceStore,
        bounds: Bounds,
        destinations: list[str],
        reader: Reader,
        reports: ReportQueue,
    ) -> None:
        self._reader, self._reports = reader, reports
        self._files, self._instances = files, instances
        self._bounds, self._destinations = bounds, destinations

    def run(self) -> Recovered:
        """Enter what there is; what cannot be entered is moved to `lost`."""
        sources, results = self._instances.digests()
        entered = lost = made = 0
        # First: their results are then known to be made again.
        for path in self._files.unnamed_sources(sources):
            # Another replica may have entered one meanwhile, and be done with it.
            with contextlib.suppress(FileNotFoundError):
                entered += self._enter_source(path)
                lost += not path.exists()
        for path in self._files.unnamed_results(results):
            with contextlib.suppress(FileNotFoundError):
                made += self._enter_result(path)
                lost += not path.exists()
        recovered = Recovered(entered, made, lost)
        if entered or made or lost:
            log.warning("inbox-recovered", sources=entered, results=made, lost=lost)
        return recovered

    def _enter_source(self, path: Path) -> bool:
        try:
            header = read_header(path, self._reader)
        except Overloaded:
            # The next attempt may not meet this error: everything is tried again.
            raise
        except MammosegError as error:
            # What may pass stays for the next start, or until it is swept.
            if error.code not in PASSING_CODES:
                self._files.lose(path)
            return False
        klass, instance = header.sop_class_uid, header.sop_instance_uid
        study = header.study_instance_uid
        if header.digest != path.stem or klass is None or instance is None or study is None:
            self._files.lose(path)
            return False
        arrival = Arrival(
            klass,
            instance,
            study,
            header.digest,
            disk_bytes(path.stat().st_size),
            aside_code(header, self._bounds),
        )
        (code,) = self._instances.enter([arrival], lambda _: None)
        if code is not None:
            # An operator may want to see what nothing is done with.
            self._files.lose(path)
        return code is None

    def _enter_result(self, path: Path) -> bool:
        content = path.read_bytes()
        try:
            dataset = parse(content, HEADER_BYTES).dataset
        except MammosegError:
            self._files.lose(path)
            return False
        klass, instance, study = (
            elements.uid(dataset, keyword)
            for keyword in ("SOPClassUID", "SOPInstanceUID", "StudyInstanceUID")
        )
        digest = hashlib.sha256(content).hexdigest()
        ours = elements.text(dataset, "Manufacturer") == MANUFACTURER
        if not ours or digest != path.stem or klass is None or instance is None or study is None:
            self._files.lose(path)
            return False
        if self._is_to_be_made(dataset, study):
            # It will be made again, byte for byte; `sweep` looks after it if it is not.
            return False
        made = StoredResult(RECOVERED, instance, digest, disk_bytes(len(content)))
        arrival = Arrival(klass, instance, study, digest, 0)
        if self._instances.enter_result(arrival, made, self._destinations):
            return True
        if not self._instances.has_result(digest):
            # Another content of the same UID is entered, and may be delivered.
            self._files.lose(path)
        return False

    def _is_to_be_made(self, dataset: Dataset, study: str) -> bool:
        """Say whether what waits in the inbox will give this result."""
        images = _referred_to(dataset)
        if elements.integer(dataset, "SeriesNumber") == NOT_RUN_KIND.series_number:
            # Where its image has no series, a report does not refer to it.
            of = images if "CurrentRequestedProcedureEvidenceSequence" in dataset else None
            return self._reports.is_due_in(study, of, self._files.has_source)
        return self._instances.is_to_be_processed(images, self._files.has_source)


def _referred_to(dataset: Dataset) -> set[str]:
    """Return the SOP Instance UIDs that one of our results refers to."""
    return {
        str(element.value)
        for element in dataset.iterall()
        if element.keyword == "ReferencedSOPInstanceUID"
    }
