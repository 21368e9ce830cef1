"""From a foreign net to a served file, proven on the sample before it is written."""

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import onnx
from numpy.typing import NDArray

from model_export.adopt import graph, symptoms
from model_export.adopt.answers import Settled, check_values, settle
from model_export.adopt.contract import Proof, contract_of, golden_of
from model_export.adopt.errors import AdoptError
from model_export.adopt.flags import Flags
from model_export.adopt.foreign import Foreign
from model_export.adopt.frameworks import read
from model_export.adopt.picture import draw
from model_export.adopt.proof import (
    Agreement,
    Expected,
    agreement,
    demand,
    predicted,
    served_frame,
)
from model_export.adopt.sample import Sample, breast_of
from model_export.whole_file import whole_file
from service.errors import StartupError
from service.findings import Findings
from service.imaging.breast import Box
from service.imaging.mammogram import Mammogram
from service.inference.contract import Contract
from service.inference.session import BareGraph, Session
from service.loading import open_model
from service.segmenter import SegmentOptions
from service.stopwatch import Stopwatch

OTHER_SIZE = (160, 192)
"""On which a net that says it takes any size is tried."""

UNGATED = SegmentOptions(gate=False)


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

    Raises
    ------
    AdoptError
        Nothing was written, and the message says why.
    """
    sample = Sample.read(sample_path)
    foreign = read(source, flags)
    expected = None if expected_path is None else Expected.read(expected_path, sample)
    settled = settle(foreign.facts, flags)
    try:
        _check_bare(foreign, settled, sample)
        return _written(foreign, settled, sample, target, naming, expected)
    except StartupError as error:
        raise AdoptError(f"the service would refuse the file: {error}") from error


def _written(
    foreign: Foreign,
    settled: Settled,
    sample: Sample,
    target: Path,
    naming: Naming,
    expected: Expected | None,
) -> AdoptResult:
    model = graph.wrap(foreign.model, settled)
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "adopted.onnx"
        contract = _contract(foreign, settled, naming, "unproven")
        _write(model, contract, file)
        golden = golden_of(settled, Session.open(file).run)
        contract = contract.model_copy(update={"golden": golden})
        _write(model, contract, file)
        findings = _answer(file, sample.mammogram)
        found, proof, remarks = _proven(file, foreign, settled, sample, findings, expected)
        if found is None:
            inside = _over_breast(findings, sample, settled)
            lesion = " or ".join(settled.names[one] for one in settled.lesions)
            remarks += symptoms.check(findings, inside, lesion)
        assert contract.adopted is not None
        adopted = contract.adopted.model_copy(update={"proof": proof})
        contract = contract.model_copy(update={"adopted": adopted})
    target.parent.mkdir(parents=True, exist_ok=True)
    with whole_file(target) as partial:
        _write(model, contract, partial)
        Session.open(partial)
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


def _check_bare(foreign: Foreign, settled: Settled, sample: Sample) -> None:
    """Run the net itself on part of the sample: its values, and whether it takes other sizes."""
    bare = BareGraph(graph.raw(foreign.model, settled).SerializeToString())
    pixels = sample.view(settled.spacing_mm).pixels.astype(np.float32) / np.float32(65535.0)
    if settled.pixels.statistic != "display":
        low, scale = (
            (pixels.min(), np.ptp(pixels))
            if settled.pixels.statistic == "min_max"
            else (pixels.mean(), pixels.std())
        )
        pixels = (pixels - low) / np.float32(max(float(scale), 1e-8))
    raw = bare.run(_fitted(pixels, settled.tile))
    if raw.shape != (1, settled.facts.outputs, *settled.tile):
        raise AdoptError(
            f"the net answers in {raw.shape[2:]} to {settled.tile}: a map of the input's own size "
            "is what is served"
        )
    check_values(settled, (float(raw.min()), float(raw.max())))
    if settled.free:
        try:
            bare.run(_fitted(pixels, OTHER_SIZE))
        except StartupError:
            rows, columns = settled.tile
            raise AdoptError(
                "the graph says that it takes any size, and does not: say the one that it takes, "
                f"as --tile {rows}x{columns}"
            ) from None


def _fitted(pixels: NDArray[np.float32], shape: tuple[int, int]) -> NDArray[np.float32]:
    """Cut or pad to a shape, around the brightest part: (1, 1, rows, columns)."""
    window = np.zeros(shape, np.float32)
    rows, columns = (min(a, b) for a, b in zip(pixels.shape, shape, strict=True))
    top, left = ((a - b) // 2 for a, b in zip(pixels.shape, (rows, columns), strict=True))
    window[:rows, :columns] = pixels[top : top + rows, left : left + columns]
    return window[np.newaxis, np.newaxis]


def _answer(file: Path, mammogram: Mammogram) -> Findings:
    with open_model(file) as segmenter:
        return segmenter.segment_mammogram(mammogram, UNGATED, Stopwatch())


def _over_breast(findings: Findings, sample: Sample, settled: Settled) -> NDArray[np.float32]:
    view = sample.view(settled.spacing_mm)
    return served_frame(findings.lesion_map, view.pixels.shape)[breast_of(view)]


def _proven(
    file: Path,
    foreign: Foreign,
    settled: Settled,
    sample: Sample,
    findings: Findings,
    expected: Expected | None,
) -> tuple[Agreement | None, Proof, list[str]]:
    """Compare the served answer with the caller's, or with the framework's own."""
    if expected is not None:
        whole = Box(0, 0, sample.mammogram.rows, sample.mammogram.columns)
        shape = (whole.rows, whole.columns)
        view = replace(sample.view(settled.spacing_mm), pixels=sample.mammogram.pixels)
        served = served_frame(findings.lesion_map, shape)
        found = agreement(served, expected.values, breast_of(view), mask_only=expected.is_mask)
        demand(found, "--expected", [])
        return found, "expected-mask", []
    if foreign.predictor is None:
        said = foreign.why_not or "no predictor of the framework is known here"
        return None, "unproven", [f"unproven: {said}. --expected MASK would prove it."]
    view = sample.view(settled.spacing_mm)
    shown = replace(
        sample.mammogram,
        pixels=view.pixels,
        pixel_spacing_mm=(view.spacing_mm, view.spacing_mm),
    )
    lesion_map = _answer(file, shown).lesion_map
    wanted = predicted(foreign.predictor, view, settled)
    found = agreement(served_frame(lesion_map), wanted, breast_of(view))
    demand(found, foreign.framework, [])
    return found, "predictor", []


def warnings_of(result: AdoptResult) -> Sequence[str]:
    """Return what every answer of the new file will carry as a warning."""
    return [one.code for one in result.findings.caveats]
