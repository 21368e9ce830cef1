"""A folded net as an ONNX graph, node by node.

Written out instead of exported: the graph holds exactly the layers that the net's own `forward`
calls, and no shape arithmetic that a GPU would leave to the CPU. Batch, rows and columns are free:
a breast is seldom as wide as the largest tile.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper
from torch import nn

from model_export.export.layers import GraphBuilder, add_function, add_layer, has_form
from model_export.export.tracing import Walk
from model_export.networks import Maps, SegmentationNet
from model_export.networks.heads import CELL

OPSET = 18
"""Resize of opset 19 used to fall back to the CPU under the CUDA provider."""

IR_VERSION = 10


class _Writer(Walk):
    """Runs a net on names of values, and appends a node wherever the net would compute."""

    def __init__(self, net: SegmentationNet, nodes: GraphBuilder) -> None:
        super().__init__(net, has_form)
        self._nodes = nodes

    def layer(self, layer: nn.Module, *values: Any) -> Any:
        return add_layer(layer, self._nodes, *values)

    def function(self, function: Callable[..., Any], *values: Any) -> Any:
        return add_function(function, self._nodes, *values)


def build_graph(net: SegmentationNet, tile_size: int) -> onnx.ModelProto:
    """Return the model: `tile` (N, 1, H, W) -> `probability`, `has_mask`, `activation`.

    Parameters
    ----------
    net
        Folded: no batch norm, no transposed convolution.
    tile_size
        H and W for which it is checked; other multiples of 32 will do as well, of 64 where the net
        halves a sixth time.

    Raises
    ------
    TypeError
        A layer has no ONNX form here.
    """
    nodes = GraphBuilder()
    maps: Maps = _Writer(net, nodes).run("tile")
    nodes.add("Sigmoid", str(maps.logits), output="probability")
    cells = tile_size // CELL
    shapes = {
        "probability": [tile_size, tile_size],
        "has_mask": [],
        "activation": [cells, cells],
    }
    model = helper.make_model(
        helper.make_graph(
            nodes.nodes,
            "mammoseg",
            [_value("tile", [tile_size, tile_size])],
            [_value(name, shape) for name, shape in shapes.items()],
            nodes.constants,
        ),
        opset_imports=[helper.make_opsetid("", OPSET)],
        ir_version=IR_VERSION,
        producer_name="mammoseg",
    )
    onnx.checker.check_model(model, full_check=True)
    _free_sides(model)
    return model


def shift_activation(model: onnx.ModelProto, activation: str, amount: float) -> None:
    """Add to the bias of the activation map, in place; the has-mask logit moves as far.

    The bias is the last input of the node that makes the map.

    Parameters
    ----------
    activation
        Name of the output.
    amount
        What is added.
    """
    (node,) = (one for one in model.graph.node if activation in one.output)
    (bias,) = (one for one in model.graph.initializer if one.name == node.input[-1])
    moved = numpy_helper.to_array(bias) + np.float32(amount)
    bias.CopyFrom(numpy_helper.from_array(moved, bias.name))


def _free_sides(model: onnx.ModelProto) -> None:
    for value in (*model.graph.input, *model.graph.output):
        for axis, side in enumerate(value.type.tensor_type.shape.dim[2:]):
            side.dim_param = f"{value.name}_{('rows', 'columns')[axis]}"


def _value(name: str, sides: list[int]) -> onnx.ValueInfoProto:
    return helper.make_tensor_value_info(name, TensorProto.FLOAT, ["batch", 1, *sides])
