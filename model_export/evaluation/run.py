"""A file's evaluation: every image goes through `service.segmenter`, as a request does."""

import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from model_export.baselines import Probe
from model_export.datasets import Sample
from model_export.datasets.splits import Split
from model_export.evaluation.bootstrap import Figure
from model_export.evaluation.compare import examine, look
from model_export.evaluation.contrast import FACTORS, contrasted, is_tried
from model_export.evaluation.examined import Examined
from model_export.evaluation.figures import figures
from model_export.evaluation.gallery import Case, Gallery
from model_export.evaluation.pictures import HEIGHT
from model_export.evaluation.sets import Known, Untold, external, of_split
from model_export.evaluation.strata import Stratum, strata
from model_export.metrics import dice
from service.clock import Clock
from service.cores import available_cores
from service.errors import MammosegError
from service.findings import Findings, ModelIdentity
from service.inference.contract import Contract
from service.inference.device import Device
from service.opening import open_model
from service.segmenter import Segmenter, Wishes

UNGATED = Wishes(gate=False, picture_side=HEIGHT)

Given = TypeVar("Given")
Made = TypeVar("Made")


@dataclass(frozen=True, slots=True)
class Options:
    """What is examined and how.

    Attributes
    ----------
    split
        Of the sources; test unless one knows why not.
    sources
        Those of the contract's training data when None.
    external
        Names of sets never trained on; see `sets.external`.
    limit
        Images a source at most: for trying out, never for reporting.
    contrast
        Ask again at other contrasts.
    device
        Where the net runs.
    """

    split: Split = "test"
    sources: tuple[str, ...] | None = None
    external: tuple[str, ...] = ()
    limit: int | None = None
    contrast: bool = True
    device: Device = "cpu"


@dataclass(frozen=True, slots=True, eq=False)
class Evaluation:
    """Everything that a report says.

    Attributes
    ----------
    refused
        Code of the service's error, and how many images of each source it met.
    seconds
        Wall clock.
    """

    model: ModelIdentity
    contract: Contract
    options: Options
    images: tuple[Examined, ...]
    figures: dict[str, Figure]
    strata: list[Stratum]
    cases: list[Case]
    refused: dict[str, int]
    seconds: float


def evaluate(path: Path, data: Path, options: Options) -> Evaluation:
    """Examine a file.

    Parameters
    ----------
    path
        The ONNX file.
    data
        Holds one folder a source.
    options
        What is examined.

    Raises
    ------
    ValueError
        A set named external was trained on.
    DatasetError
        A source cannot be read.
    ContractError, DeviceError
        The service would refuse the file.
    """
    start = time.monotonic()
    runners = available_cores() if options.device == "cpu" else 1
    with open_model(path, device=options.device, runners=runners) as segmenter:
        examiner = _Examiner(segmenter, options.contrast)
        images = _examine(examiner, data, options)
    threshold = segmenter.contract.operating_point.has_mask
    return Evaluation(
        model=segmenter.model,
        contract=segmenter.contract,
        options=options,
        images=tuple(images),
        figures=figures(images, threshold),
        strata=strata(images),
        cases=examiner.gallery.cases(),
        refused=examiner.refused,
        seconds=time.monotonic() - start,
    )


def _examine(examiner: "_Examiner", data: Path, options: Options) -> list[Examined]:
    contract = examiner.segmenter.contract
    _check_external(options.external, contract)
    trained_on = contract.provenance.training_data
    sources = trained_on if options.sources is None else options.sources
    images = [one for source in sources for one in _of_source(examiner, data, source, options)]
    for name in options.external:
        images += examiner.all(external(data, name, options.limit), name)
    return images


def _check_external(names: Iterable[str], contract: Contract) -> None:
    for name in names:
        if Path(name).name in contract.provenance.training_data:
            raise ValueError(f"the model was trained on {Path(name).name}: it is not external")


def _of_source(examiner: "_Examiner", data: Path, source: str, options: Options) -> list[Examined]:
    """Examine one split of a source, and fit and ask the probe along the way."""
    trained: list[Known] = []
    samples = of_split(data, source, options.split, options.limit, trained)
    images = examiner.all(samples, source)
    probe = Probe.fit([features for features, _ in trained], [label for _, label in trained])
    if probe is None:
        return images
    return [replace(image, probe=probe.score(image.brightness)) for image in images]


class _Examiner:
    """Asks the service about images, several at a time, and keeps the worst as pictures."""

    def __init__(self, segmenter: Segmenter, contrast: bool) -> None:
        self.segmenter = segmenter
        self.contrast = contrast
        self.gallery = Gallery()
        self.refused: dict[str, int] = {}

    def all(self, images: Iterable[Sample | Untold], description: str) -> list[Examined]:
        examined = []
        for image, answer in in_parallel(self._ask, images, description):
            if isinstance(answer, MammosegError):
                fault = f"{description}: {answer.code}"
                self.refused[fault] = self.refused.get(fault, 0) + 1
                continue
            found, findings = answer
            examined.append(found)
            self.gallery.offer(found, findings, _lesion(image))
        return examined

    def _ask(self, image: Sample | Untold) -> tuple[Examined, Findings] | MammosegError:
        try:
            if isinstance(image, Untold):
                findings = self.segmenter.segment(image.path.read_bytes(), wishes=UNGATED)
                return look(image.source, image.patient, image.name, findings), findings
            return self._ask_sample(image)
        except MammosegError as error:
            return error

    def _ask_sample(self, sample: Sample) -> tuple[Examined, Findings]:
        findings = ask(self.segmenter, sample)
        found = examine(sample, findings, self.segmenter.contract)
        drawn = sample.lesion is not None
        if self.contrast and is_tried(sample.source, sample.name, outlined=drawn):
            found = replace(found, contrast={f: self._ask_at(sample, f) for f in FACTORS})
        return found, findings

    def _ask_at(self, sample: Sample, factor: float) -> tuple[float, float | None]:
        """Give score and Dice at another contrast."""
        pixels = contrasted(sample.pixels, factor)
        findings = ask(self.segmenter, replace(sample, pixels=pixels))
        drawn = sample.lesion is not None and sample.has_lesion
        overlap = (
            dice(findings.mask, sample.lesion) if drawn and sample.lesion is not None else None
        )
        return findings.has_mask.score, overlap


def ask(segmenter: Segmenter, sample: Sample) -> Findings:
    """Ask the service about a sample, ungated."""
    return segmenter.examine(sample.to_mammogram(), UNGATED, Clock())


def in_parallel(
    function: Callable[[Given], Made], items: Iterable[Given], description: str
) -> Iterator[tuple[Given, Made]]:
    """Give items with what a function makes of them, in order, with a progress bar.

    As many threads as cores; only as many items are held as are worked on.
    """
    workers = available_cores()
    waiting: deque[tuple[Given, Future[Made]]] = deque()
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
    )
    with Progress(*columns) as progress, ThreadPoolExecutor(workers) as pool:
        task = progress.add_task(description, total=None)
        for item in items:
            waiting.append((item, pool.submit(function, item)))
            if len(waiting) > workers:
                yield _next(waiting)
                progress.advance(task)
        while waiting:
            yield _next(waiting)
            progress.advance(task)
        progress.update(task, total=progress.tasks[0].completed)


def _next(waiting: deque[tuple[Given, Future[Made]]]) -> tuple[Given, Made]:
    item, future = waiting.popleft()
    return item, future.result()


def _lesion(image: Sample | Untold) -> NDArray[np.bool_] | None:
    return None if isinstance(image, Untold) else image.lesion
