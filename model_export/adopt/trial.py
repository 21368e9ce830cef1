"""A net on the sample before there is a file of it: what it would answer if it were served."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
from numpy.typing import NDArray

from model_export.adopt import graph
from model_export.adopt.answers import Settled, check_values
from model_export.adopt.contract import contract_of, golden_of
from model_export.adopt.errors import AdoptError
from model_export.adopt.foreign import Foreign
from model_export.adopt.sample import Sample
from service.cancellation import CancelToken
from service.errors import ContractError, StartupError
from service.findings import Findings
from service.imaging.mammogram import Mammogram
from service.imaging.reader import ReadLimits
from service.imaging.tiles import Tile
from service.inference.model_file import ModelFile
from service.inference.net import ModelInfo, RunListener, TilePrediction
from service.inference.session import BareGraph, Session
from service.reading.reader import InProcess
from service.segmenter import Segmenter, SegmentOptions
from service.stopwatch import Stopwatch
from service.system.cores import available_cores

OTHER_SIZE = (160, 192)
"""On which a net that says it takes any size is tried."""

UNGATED = SegmentOptions(gate=False)


def check_bare(foreign: Foreign, settled: Settled, sample: Sample) -> None:
    """Run the net itself on part of the sample: its values, and whether it takes other sizes.

    Raises
    ------
    AdoptError
        What it answers is no map, or not what the flags say of it.
    ContractError
        It does not run.
    """
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
    """Cut or pad to a shape, around the middle: (1, 1, rows, columns)."""
    window = np.zeros(shape, np.float32)
    rows, columns = (min(a, b) for a, b in zip(pixels.shape, shape, strict=True))
    top, left = ((a - b) // 2 for a, b in zip(pixels.shape, (rows, columns), strict=True))
    window[:rows, :columns] = pixels[top : top + rows, left : left + columns]
    return window[np.newaxis, np.newaxis]


def answer(
    foreign: Foreign, settled: Settled, mammogram: Mammogram, token: CancelToken
) -> Findings:
    """Return what would be served for a mammogram, without a golden tile and without a file.

    Raises
    ------
    AdoptError, ContractError
        There is no such graph, or it does not run.
    DeadlineExceeded
        The token's time is over.
    """
    model = graph.wrap(foreign.model, settled)
    contract = contract_of(
        settled,
        framework=foreign.framework,
        name=foreign.name,
        version="1.0.0",
        proof="unproven",
        licence="",
        training_data=(),
        golden=golden_of(settled, None),
    )
    onnx.helper.set_model_props(model, contract.to_metadata())
    file = ModelFile(Path("tried.onnx"), model.SerializeToString(), sha256="")
    net = _UnprovenNet(Session.open(file, threads=available_cores()))
    with Segmenter(net, InProcess(ReadLimits())) as segmenter:
        return segmenter.segment_mammogram(mammogram, UNGATED, Stopwatch(), token)


@dataclass(slots=True)
class _UnprovenNet:
    """Runs tiles one after the other; a `Net` that needs no golden tile."""

    session: Session
    waiting: int = 0
    net_seconds: float = 0.0
    failed: bool = False

    @property
    def model_info(self) -> ModelInfo:
        return self.session.model_info

    def run(self, tiles: Sequence[Tile], token: CancelToken) -> list[TilePrediction]:
        return [self._run(tile.pixels, token) for tile in tiles]

    def _run(self, pixels: NDArray[np.float32], token: CancelToken) -> TilePrediction:
        token.raise_if_cancelled()
        try:
            return self.session.run(pixels[np.newaxis, np.newaxis]).prediction(0)
        except Exception as error:
            raise ContractError(
                f"the graph does not run on {pixels.shape}: {type(error).__name__}"
            ) from error

    def listen(self, listener: RunListener) -> None:
        """Nobody wants to know."""

    def close(self) -> None:
        """Nothing waits."""
