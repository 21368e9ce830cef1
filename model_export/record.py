"""The figures, written into the file that they are of."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx

from model_export.evaluation import Evaluation
from model_export.export.run import contract_of, write
from model_export.export.verify import SHIFT, has_mask_shift
from model_export.report.card import KNOWN_BY
from model_export.report.describe import DESCRIBED
from model_export.report.known_by import known_by
from model_export.training.checkpoints import digest_of

SPLIT = (
    "test patients (of the data set's own split where it has one, else 20 % by hash; sets that "
    "were never trained on whole), through service.segmenter"
)


def record(path: Path, evaluation: Evaluation) -> Evaluation:
    """Write the headline figures into the contract of the very file that was evaluated.

    Parameters
    ----------
    path
        The ONNX file, rewritten in place; the net itself stays as it is.
    evaluation
        Of the test split, whole.

    Returns
    -------
    The evaluation, of the file as it now is.

    Raises
    ------
    ValueError
        Only a part was evaluated, another split, or another file.
    """
    options = evaluation.options
    if options.split != "test" or options.limit is not None:
        raise ValueError("only an evaluation of the whole test split is recorded")
    if digest_of(path) != evaluation.model.sha256:
        raise ValueError(f"{path.name} is not the file that was evaluated")
    model = onnx.load(path)
    contract = contract_of(model)
    kept = summary(evaluation) | {SHIFT: has_mask_shift(contract)}
    provenance = contract.provenance.model_copy(update={"evaluation": kept})
    contract = contract.model_copy(update={"provenance": provenance})
    write(model, contract, path)
    return replace(
        evaluation,
        contract=contract,
        model=replace(evaluation.model, sha256=digest_of(path)),
    )


def summary(evaluation: Evaluation) -> dict[str, float | str]:
    """Return the headline figures as the contract holds them.

    Each figure has its value under "source/figure", and under "source/figure/..." the `low` and
    `high` end of its interval and the `images` and `patients` that it was counted over. Under
    "source/known_by" stands how its lesions are known: by drawn outlines, boxes or else.
    """
    values: dict[str, float | str] = {"split": SPLIT}
    for key, figure in evaluation.figures.items():
        described = DESCRIBED.get(key.rpartition("/")[2])
        if described is None or not described.headline:
            continue
        values[key] = round(figure.value, 4)
        if not np.isnan(figure.low):
            values[f"{key}/low"] = round(figure.low, 4)
            values[f"{key}/high"] = round(figure.high, 4)
        values[f"{key}/images"] = float(figure.images)
        values[f"{key}/patients"] = float(figure.patients)
    for source, kinds in known_by(evaluation.images).items():
        values[f"{source}/{KNOWN_BY}"] = kinds
    return values
