"""Whoever segments images of an archive: in this process, or on another machine.

It writes nothing. Results go back as bytes to the one process that keeps the ledger; so a judge may
be killed at any moment, and the same image be given to another.
"""

import hashlib
from collections.abc import Generator, Iterable
from dataclasses import dataclass, field

from pydicom.dataset import Dataset

from service import __version__
from service.audit.instances import InstanceIdentity, identity_of
from service.batch.archive.items import Fetcher, InstanceBody, Item, Query
from service.batch.bodies import FileBody
from service.batch.journal_line import Row
from service.batch.made_by import made_by
from service.batch.results import make_files
from service.batch.rows import scores_of
from service.batch.run import Batch, ItemOutcome, Task
from service.errors import StartupError
from service.findings import Findings
from service.imaging import elements
from service.imaging.source_header import digest_of_dataset
from service.outputs.result import RegionPart, SegmentationResult, result_of
from service.segmenter import SegmentOptions
from service.settings import Settings
from service.startup.models import open_segmenter
from service.telemetry.inference_line import Pseudonyms

FOLDER = "images"
"""Of the result files, in that of the results."""


@dataclass(frozen=True, slots=True)
class Assignment:
    """What a judge is told; it travels to other machines.

    Attributes
    ----------
    settings
        Of the service.
    options
        The caller's choices.
    formats
        Results to make, see `service.batch.formats`; none is `csv`.
    made_by
        What results must depend on here as there; see `service.batch.made_by`.
    query
        Where instances are; None for an archive of files.
    secret
        The site's, for pseudonyms in place of UIDs; None for UIDs.
    is_audited
        Whoever keeps the ledger is to know whose each image is.
    version
        Of the program that assigns it: in one run, all judge by the same.
    """

    settings: Settings = field(repr=False)
    options: SegmentOptions
    formats: tuple[str, ...]
    made_by: str
    query: Query | None = None
    secret: bytes | None = field(default=None, repr=False)
    is_audited: bool = False
    version: str = __version__


@dataclass(frozen=True, slots=True)
class Judged:
    """What was made of one image.

    Attributes
    ----------
    image
        Its SOP Instance UID; of what has none, `sha256-` and the digest.
    digest
        See `digest_of`.
    row
        Of `scores.parquet`.
    regions
        Rows of `regions.parquet`.
    files
        Content of each result file, by its name in the folder of the results.
    whose
        For the audit trail; None where there is none, and of what is no DICOM instance.
    """

    image: str
    digest: str
    row: Row
    regions: tuple[Row, ...]
    files: dict[str, bytes] = field(repr=False)
    whose: InstanceIdentity | None = None


Answer = ItemOutcome[Item, Judged]


class Judge:
    """Segments items.

    Parameters
    ----------
    assignment
        What to do.
    cores
        That there are to work with.

    Raises
    ------
    StartupError
        Model, device or readers do not start, or are others than were meant.
    """

    def __init__(self, assignment: Assignment, cores: int) -> None:
        settings = assignment.settings
        made = made_by(settings, assignment.options)
        if (made, __version__) != (assignment.made_by, assignment.version):
            raise StartupError("this machine has another model or version of mammoseg")
        self._assignment = assignment
        self._pseudonyms = Pseudonyms(assignment.secret)
        self._fetcher = Fetcher(settings.max_body_mib << 20, assignment.query)
        self._cores = cores
        self._segmenter = open_segmenter(settings)

    def run(self, items: Iterable[Item]) -> Generator[Answer]:
        """Yield what comes of each item; raises as `Batch.run`."""
        given = self._assignment
        task = Task(given.options, self._fetcher.look_at, self._make, given.is_audited)
        memory = self._assignment.settings.memory
        return Batch(self._segmenter, task, memory, self._cores).run(items)

    def close(self) -> None:
        """Close the segmenter."""
        self._segmenter.close()

    def _make(
        self, _: Item, __: FileBody | InstanceBody, content: bytes, findings: Findings
    ) -> Judged:
        digest = digest_of(content, findings)
        image = findings.mammogram.sop_instance_uid or f"sha256-{digest}"
        # Of a million files in one folder, some systems take minutes to find one.
        shard = hashlib.sha256(image.encode("ascii")).hexdigest()[:2]
        name = f"{FOLDER}/{shard}/{image}"
        result = result_of(findings, (), 0)
        keys = self._keys(findings, image, content)
        row = keys | scores_of(result)
        row |= {"results": None} if self._assignment.secret else {"results": name}
        del row["sop_instance_uid"]
        files = make_files(name, self._assignment.formats, findings)
        header = findings.mammogram.header if self._assignment.is_audited else None
        whose = None if header is None else identity_of(header.dataset())
        return Judged(image, digest, row, region_rows(result, keys), files, whose)

    def _keys(self, findings: Findings, image: str, content: bytes) -> Row:
        """Return what image and study are called in the tables."""
        header = findings.mammogram.header
        if self._assignment.secret is None:
            dataset = Dataset() if header is None else header.dataset()
            study, series = (
                elements.uid(dataset, name) for name in ("StudyInstanceUID", "SeriesInstanceUID")
            )
            return {"image": image, "study": study, "series": series}
        names = self._pseudonyms
        return {
            "image": names.image(findings.mammogram.sop_instance_uid, content),
            "study": names.study(header),
            "series": None,
        }


def digest_of(content: bytes, findings: Findings) -> str:
    """Return the SHA-256, hex, by which copies of an image are known.

    Of a DICOM file it is that of transfer syntax and dataset, as the inbox has it: the file meta
    information names who wrote the copy.
    """
    if findings.mammogram.header is None:
        return hashlib.sha256(content).hexdigest()
    return digest_of_dataset(content)


def region_rows(result: SegmentationResult, keys: Row) -> tuple[Row, ...]:
    """Return the rows of an image's regions, numbered from 1 in the order of its JSON."""
    return tuple(
        keys | {"number": number} | _region(region)
        for number, region in enumerate(result.regions, 1)
    )


def _region(region: RegionPart) -> Row:
    left, top, width, height = region.bbox
    return {
        "left": left,
        "top": top,
        "width": width,
        "height": height,
        "centroid_x": region.centroid[0],
        "centroid_y": region.centroid[1],
        "area_mm2": region.area_mm2,
        "max_probability": region.max_probability,
        "mean_probability": region.mean_probability,
        "selected": region.selected,
        "label": region.label,
    }
