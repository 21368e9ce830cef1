"""A folded net as an ONNX graph, node by node.

Written out instead of traced: the nets are chains of six kinds of layer, and so the graph holds
exactly these, with constant sizes and a free batch axis, and no shape arithmetic that a GPU would
leave to the CPU.
"""

from functools import singledispatch

import numpy as np
import onnx
import torch
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper
from torch import nn

from model_export.networks import SegmentationNet
from model_export.networks.heads import TOP_CELLS

OPSET = 18
"""Resize of opset 19 used to fall back to the CPU under the CUDA provider."""

IR_VERSION = 10
CELL = 32


class GraphBuilder:
    """Collects nodes and constants; every `add` gives the name of the new value."""

    def __init__(self) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self.constants: list[onnx.TensorProto] = []

    def add(self, kind: str, *inputs: str, output: str | None = None, **attributes: object) -> str:
        """Append a node with one output; its name is made up unless given."""
        name = output or f"{kind.lower()}_{len(self.nodes)}"
        self.nodes.append(helper.make_node(kind, list(inputs), [name], **attributes))
        return name

    def constant(self, values: NDArray[np.generic]) -> str:
        """Append a constant."""
        name = f"constant_{len(self.constants)}"
        self.constants.append(numpy_helper.from_array(values, name))
        return name


def build_graph(net: SegmentationNet, tile_size: int) -> onnx.ModelProto:
    """Give the model: `tile` (N, 1, S, S) -> `probability`, `has_mask`, `activation`.

    Parameters
    ----------
    net
        Folded: no batch norm, no transposed convolution.
    tile_size
        S, in pixels.

    Raises
    ------
    TypeError
        A layer has no ONNX form here.
    """
    graph = GraphBuilder()
    features = add_layer(net.encoder, graph, "tile")
    logits = add_layer(net.decoder, graph, features)
    graph.add("Sigmoid", logits, output="probability")
    _add_head(net.head.project, graph, features)
    cells = tile_size // CELL
    shapes = {
        "probability": [tile_size, tile_size],
        "has_mask": [],
        "activation": [cells, cells],
    }
    model = helper.make_model(
        helper.make_graph(
            graph.nodes,
            "mammoseg",
            [_value("tile", [tile_size, tile_size])],
            [_value(name, shape) for name, shape in shapes.items()],
            graph.constants,
        ),
        opset_imports=[helper.make_opsetid("", OPSET)],
        ir_version=IR_VERSION,
        producer_name="mammoseg",
    )
    onnx.checker.check_model(model, full_check=True)
    return model


def shift_activation(model: onnx.ModelProto, activation: str, amount: float) -> None:
    """Add to the bias of the activation map, in place; the has-mask logit moves as far.

    Parameters
    ----------
    activation
        Name of the output.
    amount
        What is added.
    """
    (node,) = (one for one in model.graph.node if activation in one.output)
    (bias,) = (one for one in model.graph.initializer if one.name == node.input[2])
    moved = numpy_helper.to_array(bias) + np.float32(amount)
    bias.CopyFrom(numpy_helper.from_array(moved, bias.name))


def _value(name: str, sides: list[int]) -> onnx.ValueInfoProto:
    return helper.make_tensor_value_info(name, TensorProto.FLOAT, ["batch", 1, *sides])


def _add_head(project: nn.Conv2d, graph: GraphBuilder, features: str) -> None:
    weight, bias = _arrays(project)
    activation = graph.add(
        "Conv", features, graph.constant(weight), graph.constant(bias), output="activation"
    )
    # 0 copies the batch axis, whatever it is.
    flat = graph.add("Reshape", activation, graph.constant(np.array([0, 1, -1], np.int64)))
    count = graph.constant(np.array([TOP_CELLS], np.int64))
    graph.nodes.append(helper.make_node("TopK", [flat, count], ["top", "top_cells"], axis=2))
    last = graph.constant(np.array([2], np.int64))
    graph.add("ReduceMean", "top", last, output="has_mask", keepdims=0)


@singledispatch
def add_layer(layer: nn.Module, graph: GraphBuilder, value: str) -> str:
    """Append a layer that reads `value`, and give the name of what it makes."""
    raise TypeError(f"no ONNX form for {type(layer).__name__}")


@add_layer.register
def _(layer: nn.Sequential, graph: GraphBuilder, value: str) -> str:
    for part in layer:
        value = add_layer(part, graph, value)
    return value


@add_layer.register
def _(layer: nn.Conv2d, graph: GraphBuilder, value: str) -> str:
    weight, bias = _arrays(layer)
    assert isinstance(layer.padding, tuple)
    rows, columns = layer.padding
    return graph.add(
        "Conv",
        value,
        graph.constant(weight),
        graph.constant(bias),
        strides=list(layer.stride),
        dilations=list(layer.dilation),
        pads=[rows, columns, rows, columns],
    )


@add_layer.register
def _(layer: nn.ReLU, graph: GraphBuilder, value: str) -> str:
    return graph.add("Relu", value)


@add_layer.register
def _(layer: nn.MaxPool2d, graph: GraphBuilder, value: str) -> str:
    side = [layer.kernel_size, layer.kernel_size]
    return graph.add("MaxPool", value, kernel_shape=side, strides=side)


@add_layer.register
def _(layer: nn.PixelShuffle, graph: GraphBuilder, value: str) -> str:
    return graph.add("DepthToSpace", value, blocksize=layer.upscale_factor, mode="CRD")


@add_layer.register
def _(layer: nn.Upsample, graph: GraphBuilder, value: str) -> str:
    assert isinstance(layer.scale_factor, float)
    scales = graph.constant(np.array([1, 1, layer.scale_factor, layer.scale_factor], np.float32))
    if layer.mode == "nearest":
        how = {
            "mode": "nearest",
            "coordinate_transformation_mode": "asymmetric",
            "nearest_mode": "floor",
        }
    else:
        how = {"mode": "linear", "coordinate_transformation_mode": "half_pixel"}
    return graph.add("Resize", value, "", scales, **how)


def _arrays(conv: nn.Conv2d) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    bias = torch.zeros(conv.out_channels) if conv.bias is None else conv.bias.detach()
    return conv.weight.detach().float().cpu().numpy(), bias.float().cpu().numpy()
