"""A file's evaluation: every image goes through `service.segmenter`, as a request does."""

import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import onnx

from model_export.baselines import Probe
from model_export.datasets import Sample
from model_export.datasets.distinct import check_distinct, name_of
from model_export.datasets.remarks import remarks_on
from model_export.datasets.splits import Split
from model_export.evaluation.across import guessed
from model_export.evaluation.bootstrap import Figure
from model_export.evaluation.choices import has_both_classes, told_of
from model_export.evaluation.evaluator import Evaluator, Timing
from model_export.evaluation.familiar import Familiar, counts_against, familiar, refuse_if_all
from model_export.evaluation.figures import figures
from model_export.evaluation.gallery import Case
from model_export.evaluation.image_result import ImageResult
from model_export.evaluation.sets import (
    Known,
    external,
    of_split,
    remarks_on_external,
    root_of,
    was_trained_on,
)
from model_export.evaluation.sheets import Sheet
from model_export.evaluation.strata import Stratum, strata
from model_export.evaluation.unlabelled import UnlabelledImage
from model_export.seen_images import SeenImages, seen_by
from service.findings import ModelIdentity
from service.inference.contract import Contract
from service.inference.device import Device
from service.startup.models import open_model
from service.system.cores import available_cores

NOT_ALL_TOLD = (
    "The file does not say of all images that its net was trained on which they were, as files "
    "from before that was kept, and nets of others: the names of its sources are all that tells "
    "strangers from patients that it knows."
)


@dataclass(frozen=True, slots=True)
class Options:
    """What is evaluated and how.

    Attributes
    ----------
    split
        Of the sources; `test` for figures that are reported.
    sources
        Those of the contract's training data when None.
    external
        Names of sets never trained on; see `sets.external`.
    limit
        Images a source at most: for trying out, never for reporting.
    contrast
        Ask again at other contrasts.
    contrast_limit
        Images a source at most that are asked again, chosen by a hash: each costs as many answers
        as there are factors.
    device
        Where the net runs.
    """

    split: Split = "test"
    sources: tuple[str, ...] | None = None
    external: tuple[str, ...] = ()
    limit: int | None = None
    contrast: bool = True
    contrast_limit: int = 200
    device: Device = "cpu"


@dataclass(frozen=True, slots=True, eq=False)
class Evaluation:
    """Everything that a report says.

    Attributes
    ----------
    refused
        Code of the service's error, and how many images of each source it met.
    remarks
        What has to be known of the images before their figures are believed, a sentence each.
    seconds
        Wall clock, of which `timings` tells where it went.
    """

    model: ModelIdentity
    contract: Contract
    options: Options
    images: tuple[ImageResult, ...]
    figures: dict[str, Figure]
    strata: list[Stratum]
    cases: list[Case]
    refused: dict[str, int]
    seconds: float
    remarks: tuple[str, ...] = ()
    timings: tuple[Timing, ...] = ()
    sheets: tuple[Sheet, ...] = ()


def evaluate(path: Path, data: Path, options: Options) -> Evaluation:
    """Evaluate a file.

    Parameters
    ----------
    path
        The ONNX file.
    data
        Holds one folder a source.
    options
        What is evaluated.

    Raises
    ------
    ValueError
        A set named external was trained on.
    DatasetError
        A source cannot be read, a set is named twice or two by one name, the net was trained on
        one elsewhere and it states no split, or the net has seen every image of it.
    ContractError, DeviceError
        The service would refuse the file.
    """
    start = time.monotonic()
    runners = available_cores() if options.device == "cpu" else 1
    with open_model(path, device=options.device, runners=runners) as segmenter:
        evaluator = Evaluator(segmenter, options.contrast_limit if options.contrast else 0)
        seen = seen_by(onnx.load(path))
        images, remarks = _evaluate(evaluator, data, options, seen)
    threshold = segmenter.contract.operating_point.has_mask
    return Evaluation(
        model=segmenter.model,
        contract=segmenter.contract,
        options=options,
        images=tuple(images),
        figures=figures(images, threshold),
        strata=strata(images),
        cases=evaluator.gallery.cases(),
        sheets=tuple(evaluator.sheets.sheets()),
        refused=evaluator.refused,
        remarks=tuple(remarks),
        seconds=time.monotonic() - start,
        timings=tuple(evaluator.timings),
    )


def _evaluate(
    evaluator: Evaluator, data: Path, options: Options, seen: SeenImages
) -> tuple[list[ImageResult], list[str]]:
    contract = evaluator.segmenter.contract
    _check_external(options.external, contract)
    trained_on = contract.provenance.training_data
    sources = trained_on if options.sources is None else options.sources
    check_distinct(
        [data / one for one in sources] + [root_of(data, one) for one in options.external]
    )
    remarks = [] if seen.complete else [NOT_ALL_TOLD]
    images = []
    for source in sources:
        remarks += remarks_on(data / source)
        images += _of_source(evaluator, data, source, options, seen, remarks)
    for name in options.external:
        remarks += remarks_on_external(data, name)
        images += _of_external(evaluator, data, name, options, seen, remarks)
    return images, remarks


def _check_external(names: Iterable[str], contract: Contract) -> None:
    for name in (name_of(Path(name)) for name in names):
        if was_trained_on(contract, name):
            raise ValueError(f"the model was trained on patients of {name}: it is not external")


def _of_source(
    evaluator: Evaluator,
    data: Path,
    source: str,
    options: Options,
    seen: SeenImages,
    remarks: list[str],
) -> list[ImageResult]:
    """Evaluate one split of a source, and fit and ask the probe along the way."""
    contract = evaluator.segmenter.contract
    elsewhere = contract.adopted is not None and was_trained_on(contract, source)
    trained: list[Known] = []
    split, limit = options.split, options.limit
    every = of_split(data, source, split, None, elsewhere=elsewhere)
    known = familiar(every, counts_against(seen, split), source)
    _tell(known, source, f"all {split} patients", remarks)
    without = known.patients
    images = evaluator.all(
        of_split(data, source, split, limit, trained, elsewhere=elsewhere, without=without),
        source,
        again=lambda: of_split(data, source, split, limit, without=without),
    )
    probe = Probe.fit([features for features, _ in trained], [label for _, label in trained])
    if probe is None:
        return images
    return [replace(image, probe=probe.score(image.brightness)) for image in images]


def _of_external(
    evaluator: Evaluator,
    data: Path,
    name: str,
    options: Options,
    seen: SeenImages,
    remarks: list[str],
) -> list[ImageResult]:
    """Evaluate a whole set; the probe is fitted on its own other patients, five times."""
    known = familiar(external(data, name, None), counts_against(seen, "test"), name)
    _tell(known, name, "all of its patients", remarks)

    def samples() -> Iterator[Sample | UnlabelledImage]:
        return external(data, name, options.limit, known.patients)

    images = evaluator.all(samples(), name, again=samples)
    ranks = guessed(images) if has_both_classes(images) else None
    if ranks is None or len(told_of(images)) < len(images):
        return images
    return [replace(image, probe=float(rank)) for image, rank in zip(images, ranks, strict=True)]


def _tell(known: Familiar, source: str, what: str, remarks: list[str]) -> None:
    refuse_if_all(known, source, what)
    if known.images:
        remarks.append(known.told(source))
