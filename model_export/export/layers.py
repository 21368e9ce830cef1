"""The ONNX form of every operation that a folded net is made of."""

import operator
from collections.abc import Callable
from functools import singledispatch
from typing import Any

import numpy as np
import onnx
import torch
from numpy.typing import NDArray
from onnx import helper, numpy_helper
from torch import nn

from model_export.networks.blocks import Join
from model_export.networks.heads import CELL, SPOT, TOP_CELLS, HasMaskHead
from model_export.networks.lite import SameConv2d
from model_export.networks.rotation import TURNS, RotationMax
from model_export.networks.staged import CropTo


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

    def number(self, value: float) -> str:
        """Append a float32 scalar."""
        return self.constant(np.array(value, np.float32))


@singledispatch
def add_layer(layer: nn.Module, graph: GraphBuilder, *values: str) -> Any:
    """Append a layer that reads `values`, and give the name (names) of what it makes."""
    raise TypeError(f"no ONNX form for {type(layer).__name__}")


def has_form(layer: nn.Module) -> bool:
    """Say whether a layer is written as one operation."""
    return add_layer.dispatch(type(layer)) is not add_layer.dispatch(object)


@add_layer.register
def _(layer: nn.Identity | nn.Dropout2d, graph: GraphBuilder, value: str) -> str:
    return value


@add_layer.register
def _(layer: nn.Conv2d, graph: GraphBuilder, value: str) -> str:
    weight, bias = _arrays(layer)
    made = _convolve(layer, graph, value, graph.constant(weight), bias)
    return made if layer.out_channels > 1 else _out_of_blocks(graph, made)


def _out_of_blocks(graph: GraphBuilder, value: str) -> str:
    """End the layout in blocks of channels that ONNX Runtime gives a convolution's answer on a CPU.

    A block is 8 channels with AVX2 and 16 with AVX-512 (the runtime's NCHWc layout), and is filled
    up with zeros: a map of one channel would be enlarged, and its sigmoid taken, 8 or 16 times. The
    runtime lets no block through this node, which changes and copies nothing.
    """
    return graph.add("Reshape", value, graph.constant(np.array([0, 0, 0, 0], np.int64)))


def _convolve(
    layer: nn.Conv2d, graph: GraphBuilder, value: str, kernels: str, bias: NDArray[np.float32]
) -> str:
    assert isinstance(layer.padding, tuple)
    pads = [*layer.padding, *layer.padding]
    if isinstance(layer, SameConv2d):
        before, behind = layer.around
        pads = [before, before, behind, behind]
    return graph.add(
        "Conv",
        value,
        kernels,
        graph.constant(bias),
        strides=list(layer.stride),
        dilations=list(layer.dilation),
        group=layer.groups,
        pads=pads,
    )


@add_layer.register
def _(layer: nn.ReLU, graph: GraphBuilder, value: str) -> str:
    return graph.add("Relu", value)


@add_layer.register
def _(layer: nn.ReLU6, graph: GraphBuilder, value: str) -> str:
    return graph.add("Clip", value, graph.number(0.0), graph.number(6.0))


@add_layer.register
def _(layer: nn.ELU, graph: GraphBuilder, value: str) -> str:
    return graph.add("Elu", value, alpha=layer.alpha)


@add_layer.register
def _(layer: nn.MaxPool2d, graph: GraphBuilder, value: str) -> str:
    return graph.add(
        "MaxPool",
        value,
        kernel_shape=[layer.kernel_size] * 2,
        strides=[layer.stride] * 2,
        pads=[layer.padding] * 4,
        ceil_mode=int(layer.ceil_mode),
    )


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


@add_layer.register
def _(layer: Join, graph: GraphBuilder, *values: str) -> str:
    return graph.add("Concat", *values, axis=1)


@add_layer.register
def _(layer: CropTo, graph: GraphBuilder, value: str, other: str) -> str:
    # Nothing to cut from the tiles that a graph is written for: the shapes it promises say so.
    return value


@add_layer.register
def _(layer: RotationMax, graph: GraphBuilder, value: str) -> str:
    if not isinstance(layer.norm, nn.Identity):
        raise TypeError("no ONNX form for a batch norm that is not folded")
    weight, bias = _arrays(layer.conv)
    kernels = _turned(weight, graph)
    each = _convolve(layer.conv, graph, value, kernels, np.tile(bias, TURNS))
    turns = [f"{each}_turn_{index}" for index in range(TURNS)]
    graph.nodes.append(helper.make_node("Split", [each], turns, axis=1, num_outputs=TURNS))
    return graph.add("Max", *turns)


def _turned(weight: NDArray[np.float32], graph: GraphBuilder) -> str:
    """Return kernels in all quarter turns, written once: a session works them out as it opens."""
    outputs, inputs, rows, columns = weight.shape
    flat = graph.constant(weight.reshape(outputs, inputs, -1))
    indices = np.arange(rows * columns).reshape(rows, columns)
    turned = [
        graph.add("Gather", flat, graph.constant(np.rot90(indices, turn).ravel()), axis=2)
        for turn in range(TURNS)
    ]
    shape = graph.constant(np.array([outputs * TURNS, inputs, rows, columns], np.int64))
    return graph.add("Reshape", graph.add("Concat", *turned, axis=0), shape)


@add_layer.register
def _(layer: HasMaskHead, graph: GraphBuilder, value: str, logits: str) -> tuple[str, str]:
    weight, bias = _arrays(layer.project)
    if layer.sees_mask:
        value = graph.add("Concat", value, _surest(graph, logits), axis=1)
    activation = graph.add(
        "Conv", value, graph.constant(weight), graph.constant(bias), output="activation"
    )
    return activation, add_pool(graph, activation)


def add_pool(graph: GraphBuilder, activation: str) -> str:
    """Append what makes `has_mask` of an activation map; see `heads.pool`."""
    # 0 copies the batch axis, whatever it is.
    flat = graph.add("Reshape", activation, graph.constant(np.array([0, 1, -1], np.int64)))
    count = graph.constant(np.array([TOP_CELLS], np.int64))
    graph.nodes.append(helper.make_node("TopK", [flat, count], ["top", "top_cells"], axis=2))
    last = graph.constant(np.array([2], np.int64))
    return graph.add("ReduceMean", "top", last, output="has_mask", keepdims=0)


def _surest(graph: GraphBuilder, logits: str) -> str:
    spot, spots = [SPOT] * 2, [CELL // SPOT] * 2
    mean = graph.add("AveragePool", logits, kernel_shape=spot, strides=spot)
    return graph.add("MaxPool", mean, kernel_shape=spots, strides=spots)


def _arrays(conv: nn.Conv2d) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    bias = torch.zeros(conv.out_channels) if conv.bias is None else conv.bias.detach()
    return conv.weight.detach().float().cpu().numpy(), bias.float().cpu().numpy()


FUNCTIONS: dict[Callable[..., Any], str] = {
    operator.add: "Add",
    operator.mul: "Mul",
    operator.sub: "Sub",
    torch.sigmoid: "Sigmoid",
}
"""What a `forward` may do by itself, and the kind of node that does it, operand by operand."""


def add_function(function: Callable[..., Any], graph: GraphBuilder, *operands: str | float) -> str:
    """Append what a `forward` does outside of any layer, and give the name of what it makes.

    Raises
    ------
    TypeError
        It has no ONNX form here.
    """
    if function not in FUNCTIONS:
        raise TypeError(f"no ONNX form for {function.__name__}")
    names = [one if isinstance(one, str) else graph.number(one) for one in operands]
    return graph.add(FUNCTIONS[function], *names)
