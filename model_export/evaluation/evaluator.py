"""The service, asked about one image after another, in threads."""

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from model_export.datasets import Sample
from model_export.evaluation.choices import told_of
from model_export.evaluation.compare import compare, look
from model_export.evaluation.contrast import FACTORS, chosen, contrasted
from model_export.evaluation.cropped import cropped
from model_export.evaluation.gallery import Gallery
from model_export.evaluation.image_result import ImageResult
from model_export.evaluation.parallel import in_parallel
from model_export.evaluation.pictures import HEIGHT
from model_export.evaluation.sheets import Sheets
from model_export.evaluation.unlabelled import UnlabelledImage
from model_export.metrics import dice
from service.errors import MammosegError
from service.findings import Findings
from service.segmenter import Segmenter, SegmentOptions
from service.stopwatch import Stopwatch

UNGATED = SegmentOptions(gate=False, picture_side=HEIGHT)


@dataclass(frozen=True, slots=True)
class Timing:
    """Wall clock of one source.

    Attributes
    ----------
    images
        That were evaluated.
    asked
        Answers of the service that this took, those of changed images included.
    seconds
        Reading the set included.
    """

    source: str
    images: int
    asked: int
    seconds: float


class _Changed(NamedTuple):
    """What was answered of one image once it was changed, as in `ImageResult`."""

    contrast: dict[float, tuple[float, float | None]]
    cropped: float


class Evaluator:
    """Asks the service about images, several at a time, and keeps some of them as pictures.

    Attributes
    ----------
    contrast_limit
        Images a source at most that are asked again at other contrasts, and cropped; 0 for none.
    refused
        As in `Evaluation`.
    timings
        Of each source in turn.
    """

    def __init__(self, segmenter: Segmenter, contrast_limit: int) -> None:
        self.segmenter = segmenter
        self.contrast_limit = contrast_limit
        self.gallery = Gallery()
        self.sheets = Sheets()
        self.refused: dict[str, int] = {}
        self.timings: list[Timing] = []

    def all(
        self,
        images: Iterable[Sample | UnlabelledImage],
        description: str,
        again: Callable[[], Iterable[Sample | UnlabelledImage]],
    ) -> list[ImageResult]:
        """Evaluate images; `again` reads them once more, for those asked about changed."""
        start, results = time.monotonic(), []
        for image, answer in in_parallel(self._ask, images, description):
            if isinstance(answer, MammosegError):
                self._refuse(description, answer)
                continue
            found, findings = answer
            results.append(found)
            self.gallery.offer(found, findings, _lesion(image))
            self.sheets.offer(found, findings, _lesion(image))
        asked = len(results)
        if self.contrast_limit:
            results = self._with_changed(results, description, again)
        asked += sum(len(image.contrast) + (image.cropped is not None) for image in results)
        seconds = time.monotonic() - start
        self.timings.append(Timing(description, len(results), asked, seconds))
        return results

    def _with_changed(
        self,
        results: list[ImageResult],
        description: str,
        again: Callable[[], Iterable[Sample | UnlabelledImage]],
    ) -> list[ImageResult]:
        """Ask for some of them at other contrasts and cropped; their pixels are read anew.

        All pixels of a set are too many to keep.
        """
        told = told_of(results)
        if not told:
            return results
        names = chosen(told[0].source, [image.name for image in told], self.contrast_limit)
        samples = (one for one in again() if isinstance(one, Sample) and one.name in names)
        answers = {}
        for sample, answer in in_parallel(self._ask_at_all, samples, f"{description}, changed"):
            if isinstance(answer, MammosegError):
                self._refuse(f"{description}, changed", answer)
                continue
            answers[sample.name] = answer
        return [
            replace(image, contrast=changed.contrast, cropped=changed.cropped)
            if (changed := answers.get(image.name))
            else image
            for image in results
        ]

    def _refuse(self, description: str, error: MammosegError) -> None:
        fault = f"{description}: {error.code}"
        self.refused[fault] = self.refused.get(fault, 0) + 1

    def _ask(self, image: Sample | UnlabelledImage) -> tuple[ImageResult, Findings] | MammosegError:
        try:
            if isinstance(image, UnlabelledImage):
                findings = self.segmenter.segment(image.path.read_bytes(), options=UNGATED)
                return look(image.source, image.patient, image.name, findings), findings
            return self._ask_sample(image)
        except MammosegError as error:
            return error

    def _ask_sample(self, sample: Sample) -> tuple[ImageResult, Findings]:
        findings = ask(self.segmenter, sample)
        return compare(sample, findings, self.segmenter.contract), findings

    def _ask_at_all(self, sample: Sample) -> _Changed | MammosegError:
        try:
            return _Changed(
                {factor: self._ask_at(sample, factor) for factor in FACTORS},
                self._ask_cropped(sample),
            )
        except MammosegError as error:
            return error

    def _ask_at(self, sample: Sample, factor: float) -> tuple[float, float | None]:
        """Return score and Dice at another contrast."""
        pixels = contrasted(sample.pixels, factor)
        findings = ask(self.segmenter, replace(sample, pixels=pixels))
        drawn = sample.lesion is not None and sample.has_lesion
        overlap = (
            dice(findings.mask, sample.lesion) if drawn and sample.lesion is not None else None
        )
        return findings.has_mask.score, overlap

    def _ask_cropped(self, sample: Sample) -> float:
        """Return the score of the same image with another edge."""
        mammogram = cropped(sample.to_mammogram(), sample.pixel_spacing_mm)
        return self.segmenter.segment_mammogram(mammogram, UNGATED, Stopwatch()).has_mask.score


def ask(segmenter: Segmenter, sample: Sample) -> Findings:
    """Ask the service about a sample, ungated."""
    return segmenter.segment_mammogram(sample.to_mammogram(), UNGATED, Stopwatch())


def _lesion(image: Sample | UnlabelledImage) -> NDArray[np.bool_] | None:
    return None if isinstance(image, UnlabelledImage) else image.lesion
