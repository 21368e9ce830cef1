import platform
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import torch

from model_export.export.folding import fold
from model_export.export.graph import build_graph
from model_export.export.verify import MAX_FILE_BYTES, PARITY
from model_export.networks import LiteOptions, NetworkOptions, SmallOptions
from tests.model_export.lived_in import KINDS, LARGE, SWITCHED, lived_in, name
from tests.thinned import thinned

pytestmark = pytest.mark.integration

PLAIN = {
    "Add",
    "AveragePool",
    "Cast",
    "Clip",
    "Concat",
    "Conv",
    "DepthToSpace",
    "Elu",
    "Gather",
    "Max",
    "MaxPool",
    "Mul",
    "ReduceMean",
    "Relu",
    "Reshape",
    "Resize",
    "Sigmoid",
    "Split",
    "Sub",
    "Sum",
    "TopK",
}
"""Every kind of node a graph may hold: none computes a shape, which CUDA would leave to the CPU."""


@pytest.mark.parametrize("options", thinned([*KINDS, *SWITCHED, *LARGE], 4, 2), ids=name)
def test_the_graph_is_the_net(options: NetworkOptions) -> None:
    net = lived_in(options)
    model = build_graph(fold(net), 128)
    assert {node.op_type for node in model.graph.node} <= PLAIN
    content = model.SerializeToString()
    assert len(content) < MAX_FILE_BYTES or options.kind == "seed" or options in LARGE
    tiles = torch.rand(2, 1, 128, 128, generator=torch.Generator().manual_seed(1))
    session = onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"])
    probability, has_mask, activation = session.run(
        ["probability", "has_mask", "activation"], {"tile": tiles.numpy()}
    )
    with torch.no_grad():
        maps = net(tiles)
    assert maps.logits.std() > 0.03
    np.testing.assert_allclose(probability, torch.sigmoid(maps.logits), rtol=0, atol=PARITY)
    np.testing.assert_allclose(has_mask, maps.has_mask, rtol=1e-4, atol=1e-3)
    np.testing.assert_allclose(activation, maps.activation, rtol=1e-4, atol=1e-3)


def test_a_map_of_one_channel_is_not_worked_on_in_blocks_of_channels(tmp_path: Path) -> None:
    model = build_graph(fold(lived_in(LiteOptions())), 128)
    options = onnxruntime.SessionOptions()
    options.optimized_model_filepath = str(tmp_path / "optimized.onnx")
    content = model.SerializeToString()
    onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
    nodes = onnx.load(options.optimized_model_filepath).graph.node
    makers = {output: node for node in nodes for output in node.output}
    kinds, node = [], makers["probability"]
    while node.op_type != "Conv":
        kinds.append((node.domain, node.op_type))
        node = makers[node.input[0]]
    assert kinds[:3] == [("", "Sigmoid"), ("", "Resize"), ("", "Reshape")]
    if platform.machine() == "x86_64":
        assert (node.domain, len(kinds)) == ("com.microsoft.nchwc", 4)


def test_turned_kernels_are_written_once() -> None:
    sizes = [
        build_graph(fold(lived_in(SmallOptions(rotation_max=turned))), 64).ByteSize()
        for turned in (False, True)
    ]
    assert sizes[1] - sizes[0] < 10_000


def test_a_size_that_a_net_would_cut_is_refused() -> None:
    net = fold(lived_in(SmallOptions(last_stage="pooled")))
    with pytest.raises(onnx.shape_inference.InferenceError):
        build_graph(net, 96)


def test_a_net_that_is_not_folded_is_refused() -> None:
    with pytest.raises(TypeError, match="no ONNX form for BatchNorm2d"):
        build_graph(lived_in(SmallOptions()), 64)
