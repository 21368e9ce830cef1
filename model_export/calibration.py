"""Choosing the operating point on validation patients, and writing it into the file.

Nothing here sees a test patient.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
from numpy.typing import NDArray
from rich import get_console

from model_export.datasets import Annotation, Sample
from model_export.datasets.distinct import check_distinct
from model_export.evaluation import ask, in_parallel
from model_export.evaluation.familiar import counts_against, familiar, refuse_if_all
from model_export.evaluation.sets import of_split, was_trained_on
from model_export.export.graph import shift_activation
from model_export.export.run import contract_of, write
from model_export.export.verify import SHIFT, has_mask_shift
from model_export.lesion_free import lesion_free_logit
from model_export.mask_threshold import MINIMUM_REGION_MM2, Drawn, choose_candidate, choose_mask
from model_export.score_threshold import NO_NEGATIVES, Scored, choose_score
from model_export.seen_images import SeenImages, say_seen, seen_by, union
from service.errors import MammosegError
from service.inference.contract import Contract, OperatingPoint, Score, sigmoid
from service.inference.session import Session
from service.startup.models import open_model
from service.system.cores import available_cores

OUTLINES: tuple[Annotation, ...] = ("pixel_mask", "pseudo_outline")
"""Kinds of annotation that show where a lesion ends: they choose the thresholds of the map."""

NO_OUTLINES = "the mask's thresholds stay as they were: no validation image has an outline"
"""What a contract adds where boxes, or a yes or no, are all that is known."""

SHARP = 0.05
"""Share of the frame up to which an outline counts for that: what covers more is a region that
somebody circled, or a whole quadrant, and would drag the thresholds down to catch it all."""


@dataclass(frozen=True, slots=True)
class Asked:
    """What the net said of one image.

    Attributes
    ----------
    drawn
        None where nobody outlined a lesion sharply.
    digest
        What identifies the image.
    without_lesions
        The has-mask score of the same film without its lesions; None where it has none, nobody drew
        them, or too little breast is left.
    """

    image: Scored
    drawn: Drawn | None
    without_lesions: float | None
    digest: bytes = b""


def calibrate(
    path: Path,
    data: Path,
    sensitivity: tuple[float, str] | None = None,
    sources: Sequence[str] | None = None,
) -> Contract:
    """Choose thresholds and temperature on the validation split and write them into the file.

    The mask threshold maximises the mean Dice of the images whose lesions were outlined sharply,
    the candidate threshold the lesions found in them; temperature and a shift of the has-mask
    logit, which goes into the last bias of the head, minimise the cross-entropy of the sources that
    have both classes, and of the films of the others with and without their lesions. Without an
    outline the thresholds of the map stay, and the contract says so. Figures of an earlier
    operating point are dropped from the contract: `evaluate` finds new ones.

    Parameters
    ----------
    path
        The ONNX file, rewritten in place.
    data
        Holds one folder a source.
    sensitivity
        The share of images with lesions that the has-mask threshold is to find, and the source
        whose images count; None for the lowest threshold of the best Youden index, every source
        weighing the same.
    sources
        Folders of `data` whose validation patients count; those of the contract's training data
        when None. An adopted net's contract need not name any.

    Raises
    ------
    ValueError
        No validation image is there to choose on: neither an outline, nor what the has-mask
        threshold needs.
    DatasetError
        A source cannot be read or is named twice, or the net was trained on all of its validation
        patients.

    Returns
    -------
    The contract as it now stands in the file.
    """
    model = onnx.load(path)
    contract = contract_of(model)
    counted = contract.provenance.training_data if sources is None else sources
    if not counted:
        raise ValueError("the contract names no training data: say --source, a folder of --data")
    check_distinct(data / source for source in counted)
    seen = seen_by(model)
    asked = _collect(path, contract, _validation(data, counted, contract, seen))
    chosen, shift = _choose(contract, asked, sensitivity)
    say_seen(model, union([seen, SeenImages(chose=frozenset(one.digest for one in asked))]))
    shift_activation(model, contract.outputs.activation, shift)
    evaluation: dict[str, float | str] = {SHIFT: shift + has_mask_shift(contract)}
    provenance = chosen.provenance.model_copy(update={"evaluation": evaluation})
    chosen = chosen.model_copy(update={"provenance": provenance})
    write(model, chosen, path)
    return chosen


def _choose(
    contract: Contract,
    asked: Sequence[Asked],
    sensitivity: tuple[float, str] | None,
) -> tuple[Contract, float]:
    """Return the contract with its thresholds, and how far the has-mask logit is to be moved."""
    images = [one.image for one in asked]
    score = choose_score(contract, images, sensitivity, _films(asked))
    drawn = [one.drawn for one in asked if one.drawn is not None]
    if not drawn and score.chosen_by == NO_NEGATIVES:
        raise ValueError(
            "nothing to choose on: no validation image has an outlined lesion, and no source has "
            "images without lesions; --sensitivity and --on would do without these"
        )
    now = contract.operating_point
    mask = choose_mask(drawn) if drawn else now.mask
    point = OperatingPoint(
        has_mask=score.threshold,
        chosen_by=score.chosen_by if drawn else f"{score.chosen_by}; {NO_OUTLINES}",
        sensitivity=score.sensitivity,
        mask=mask,
        candidate=choose_candidate(drawn, mask) if drawn else now.candidate,
        minimum_region_mm2=MINIMUM_REGION_MM2 if drawn else now.minimum_region_mm2,
    )
    golden = contract.golden.model_copy(
        update={"has_mask_logit": contract.golden.has_mask_logit + score.shift}
    )
    update = {
        "score": Score(rule="max", temperature=score.temperature),
        "operating_point": point,
        "golden": golden,
    }
    return contract.model_copy(update=update), score.shift


def _collect(path: Path, contract: Contract, samples: Iterable[Sample]) -> list[Asked]:
    session = Session.open(path)
    with open_model(path, runners=available_cores()) as segmenter:

        def ask_both(sample: Sample) -> Asked | MammosegError:
            try:
                found = ask(segmenter, sample)
            except MammosegError as refusal:
                if refusal.status >= 500:  # That is none of the image's doing.
                    raise
                return refusal
            score = found.has_mask.score
            drawn, spacing = None, sample.pixel_spacing_mm
            if sample.annotation in OUTLINES and _is_sharp(sample.lesion):
                assert sample.lesion is not None
                drawn = Drawn(sample.source, sample.lesion, found.lesion_map, spacing)
            # Of a net whose has-mask logit is no mean over cells, none can be left out.
            own = sample.has_lesion and contract.adopted is None
            free = lesion_free_logit(session, contract, sample) if own else None
            without = None if free is None else sigmoid(free / contract.score.temperature)
            image = Scored(sample.source, sample.has_lesion, score)
            return Asked(image, drawn, without, sample.digest)

        asked = []
        for sample, answer in in_parallel(ask_both, samples, "calibrating"):
            if isinstance(answer, Asked):
                asked.append(answer)
            else:
                said = f"{sample.source}/{sample.name} does not count: {answer.detail}"
                get_console().print(said, markup=False)
        return asked


def _films(asked: Sequence[Asked]) -> list[Scored]:
    """Return the films, with and without their lesions, of the sources that have no other image."""
    negative = {one.image.source for one in asked if not one.image.has_lesion}
    films = []
    for one in asked:
        if one.image.source not in negative and one.without_lesions is not None:
            films += [one.image, Scored(one.image.source, False, one.without_lesions)]
    return films


def _is_sharp(lesion: NDArray[np.bool_] | None) -> bool:
    return lesion is not None and float(lesion.mean()) <= SHARP


def _validation(
    data: Path, sources: Sequence[str], contract: Contract, seen: SeenImages
) -> Iterator[Sample]:
    """Yield the validation samples of those that the net was not trained on."""
    known = counts_against(seen, "validation")
    for source in sources:
        elsewhere = contract.adopted is not None and was_trained_on(contract, source)
        every = of_split(data, source, "validation", None, elsewhere=elsewhere)
        met = familiar(every, known, source)
        refuse_if_all(met, source, "all validation patients")
        if met.images:
            get_console().print(met.told(source), markup=False)
        yield from of_split(
            data, source, "validation", None, elsewhere=elsewhere, without=met.patients
        )
