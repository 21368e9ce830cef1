"""From a foreign net to a served file, proven on the sample before it is written."""

import tempfile
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import onnx
from numpy.typing import NDArray

from model_export.adopt import graph, symptoms, what_if
from model_export.adopt.answers import Settled, settle
from model_export.adopt.contract import Proof, codes_of, contract_of, golden_of, naming_flags
from model_export.adopt.errors import AdoptError
from model_export.adopt.flags import Flags
from model_export.adopt.foreign import Foreign
from model_export.adopt.frameworks import read
from model_export.adopt.other_flags import said_of
from model_export.adopt.picture import draw
from model_export.adopt.proof import Agreement, Expected, Wanted, refusal, served_frame
from model_export.adopt.sample import Sample, breast_of
from model_export.adopt.trial import UNGATED, check_bare
from model_export.adopt.what_if import Progress, Trials
from service.errors import StartupError
from service.findings import Findings
from service.imaging.mammogram import Mammogram
from service.inference.contract import Contract
from service.inference.session import Session
from service.startup.models import open_model
from service.stopwatch import Stopwatch
from service.system.whole_file import whole_file

ALWAYS_FOLLOWED = frozenset(("spacing_mm", "lesion_class", "classes"))
"""Fields of `Flags` that every framework's own answer follows: it is shown the view at that
spacing, and asked for those classes."""


@dataclass(frozen=True, slots=True)
class Naming:
    """What the new file says of itself.

    Attributes
    ----------
    name
        The source's own where None.
    """

    name: str | None = None
    version: str = "1.0.0"
    licence: str = "not stated by whoever adopted it"
    training_data: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, eq=False)
class AdoptResult:
    """A written file.

    Attributes
    ----------
    found
        How far it agrees with what it was proven against; None where unproven.
    remarks
        What looks odd, or is to be known.
    """

    contract: Contract
    findings: Findings
    found: Agreement | None
    remarks: tuple[str, ...]
    settled: Settled


def adopt(
    source: Path,
    sample_path: Path,
    target: Path,
    flags: Flags,
    *,
    naming: Naming,
    expected_path: Path | None = None,
    progress: Progress = lambda _: None,
) -> AdoptResult:
    """Read a net of another framework and write it as a file that the service serves.

    Parameters
    ----------
    source
        A file or folder of one of `frameworks.FRAMEWORKS`.
    sample_path
        A mammogram, as the service will get them; one with a lesion is best.
    target
        The .onnx file; a picture of the sample is written beside it.
    flags
        What the caller says.
    expected_path
        What the framework answers to the sample: a mask or a probability on its pixels.
    progress
        Told what is tried where the answer is not right, which may take minutes.

    Raises
    ------
    AdoptError
        Nothing was written, and the message says why.
    """
    _check_target(target, {source, sample_path, *([expected_path] if expected_path else [])})
    sample = Sample.read(sample_path)
    foreign = read(source, flags)
    expected = None if expected_path is None else Expected.read(expected_path, sample)
    settled = settle(foreign.facts, flags)
    codes_of(settled)
    try:
        check_bare(foreign, settled, sample)
        return _written(Trials(foreign, settled, sample, progress), target, naming, expected)
    except StartupError as error:
        raise AdoptError(f"the service would refuse the file: {error}") from error
    except OSError as error:
        raise AdoptError(f"{target} cannot be written: {error.strerror}") from error


def _check_target(target: Path, sources: Collection[Path]) -> None:
    """Refuse a file that is none to write, before anything takes long."""
    if target.suffix != ".onnx":
        raise AdoptError(f"--out {target}: a file that ends in .onnx")
    taken = {one.resolve() for one in sources}
    for written in (target, picture_of(target)):
        if written.resolve() in taken:
            raise AdoptError(
                f"--out {target}: {written} would be written over, and is what is read"
            )
        if written.is_dir():
            raise AdoptError(f"--out {target}: {written} is a folder")


def _written(
    trials: Trials, target: Path, naming: Naming, expected: Expected | None
) -> AdoptResult:
    foreign, settled, sample = trials.foreign, trials.settled, trials.sample
    model = graph.wrap(foreign.model, settled)
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "adopted.onnx"
        contract = _contract(foreign, settled, naming, "unproven")
        _write(model, contract, file)
        with naming_flags():
            golden = golden_of(settled, Session.open(file).run)
        contract = contract.model_copy(update={"golden": golden})
        _write(model, contract, file)
        findings = _answer(file, sample.mammogram)
        found, proof, remarks = _proven(file, trials, findings, expected)
        remarks += foreign.remarks
        if found is None:
            inside = _over_breast(findings, sample, settled)
            lesion = " or ".join(settled.names[one] for one in settled.lesions)
            others = partial(what_if.plausible, trials)
            remarks += symptoms.check(findings, inside, lesion, others)
        assert contract.adopted is not None
        adopted = contract.adopted.model_copy(update={"proof": proof})
        contract = contract.model_copy(update={"adopted": adopted})
    target.parent.mkdir(parents=True, exist_ok=True)
    with whole_file(target) as half:
        _write(model, contract, half)
        Session.open(half)
    draw(findings, picture_of(target))
    return AdoptResult(contract, findings, found, tuple(remarks), settled)


def picture_of(target: Path) -> Path:
    """Return where the picture of the sample lies: beside the file."""
    return target.with_suffix(".png")


def _contract(foreign: Foreign, settled: Settled, naming: Naming, proof: Proof) -> Contract:
    return contract_of(
        settled,
        framework=foreign.framework,
        name=naming.name or foreign.name,
        version=naming.version,
        proof=proof,
        licence=naming.licence,
        training_data=naming.training_data,
        golden=golden_of(settled, None),
    )


def _write(model: onnx.ModelProto, contract: Contract, path: Path) -> None:
    del model.metadata_props[:]
    onnx.helper.set_model_props(model, contract.to_metadata())
    path.write_bytes(model.SerializeToString())


def _answer(file: Path, mammogram: Mammogram) -> Findings:
    with open_model(file) as segmenter:
        return segmenter.segment_mammogram(mammogram, UNGATED, Stopwatch())


def _over_breast(findings: Findings, sample: Sample, settled: Settled) -> NDArray[np.float32]:
    view = sample.view(settled.spacing_mm)
    return served_frame(findings.lesion_map, view.pixels.shape)[breast_of(view)]


def _proven(
    file: Path, trials: Trials, findings: Findings, expected: Expected | None
) -> tuple[Agreement | None, Proof, list[str]]:
    """Compare the served answer with the caller's, or with the framework's own.

    Raises
    ------
    NotProven
        They differ; the message names the flag where there is one.
    """
    foreign, settled, sample = trials.foreign, trials.settled, trials.sample
    if expected is not None:
        proof: Proof = "expected-mask"
        wanted, lesion_map = Wanted.by_caller(expected, sample), findings.lesion_map
    elif foreign.predictor is not None:
        proof = "predictor"
        wanted = Wanted.by_framework(foreign.predictor, foreign.framework, settled, sample)
        lesion_map = _answer(file, wanted.mammogram).lesion_map
    else:
        said = foreign.why_not or "no predictor of the framework is known here"
        return None, "unproven", [f"unproven: {said}. --expected MASK would prove it."]
    follows = None if expected is not None else ALWAYS_FOLLOWED | foreign.follows
    found = wanted.held_against(lesion_map)
    if not found.proves:
        raise refusal(found, wanted.who, what_if.mends(trials, wanted, found, lesion_map, follows))
    taken = said_of(settled.flags, follows or ())
    if not taken:
        return found, proof, []
    return (
        found,
        proof,
        [
            f"taken as said, since {foreign.framework} was asked the same way: {taken}. "
            "--expected MASK, of your own code, would prove them too."
        ],
    )


def warnings_of(result: AdoptResult) -> Sequence[str]:
    """Return what every answer of the new file will carry as a warning."""
    return [one.code for one in result.findings.caveats]
