"""The peers must be right, or the comparison is worth nothing."""

from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import torch

from benchmarks.bodies import body_of
from benchmarks.peers.torch_net import OnnxNet
from benchmarks.peers.whole_image import (
    LONG_SIDE_MM,
    MAXIMUM,
    STRIDE,
    TILE,
    WORKING_MM,
    corners,
    segment,
    stitched,
    tiles_of,
)
from model_export.export.folding import fold
from model_export.export.graph import build_graph
from model_export.networks import NetworkOptions
from service.inference.session import Session
from service.models import BUNDLED_MODEL
from tests.model_export.lived_in import KINDS, lived_in, name

pytestmark = pytest.mark.integration


@pytest.mark.parametrize("options", KINDS, ids=name)
def test_torch_computes_what_the_file_says(options: NetworkOptions, tmp_path: Path) -> None:
    path = tmp_path / "net.onnx"
    onnx.save(build_graph(fold(lived_in(options)), 128), str(path))
    tiles = np.random.default_rng(5).random((2, 1, 128, 96)).astype(np.float32)
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    with torch.inference_mode():
        maps = OnnxNet(path)(torch.from_numpy(tiles))
    for output in ("probability", "has_mask"):
        (expected,) = session.run([output], {"tile": tiles})
        np.testing.assert_allclose(maps[output].numpy(), expected, atol=1e-4)


@pytest.mark.parametrize("shape", [(800, 700), (864, 864), (1565, 1296), (1700, 865)])
def test_a_peers_grid_covers_the_image_and_is_put_back_together(shape: tuple[int, int]) -> None:
    image = np.random.default_rng(6).random(shape).astype(np.float32)
    tiles = tiles_of(image)
    assert len(tiles) == len(corners(shape))
    np.testing.assert_allclose(stitched(shape, tiles[:, 0]), image, atol=1e-6)


def test_a_peers_tiles_are_those_of_the_shipped_net() -> None:
    contract = Session.open(BUNDLED_MODEL).contract
    tiling, spacing = contract.tiling, contract.spacing
    assert (tiling.tile_size, tiling.stride, spacing.working_mm) == (TILE, STRIDE, WORKING_MM)
    assert (spacing.assumed_long_side_mm, contract.input.maximum) == (LONG_SIDE_MM, MAXIMUM)


def test_a_peer_answers_for_a_mammogram() -> None:
    body = body_of(1, Session.open(BUNDLED_MODEL).contract)
    asked = []

    def net(tiles: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        asked.append(tiles.shape)
        return tiles[:, 0], tiles.max(axis=(1, 2, 3))

    document = segment(body.dicom, net)
    assert asked == [(1, 1, TILE, TILE)]
    assert 0.5 < document["score"] < 1.0 and document["mask"]
