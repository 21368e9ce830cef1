"""The net of an ONNX file as a torch module, so that torch runs the very same weights."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import onnx
import torch
from onnx import numpy_helper
from torch import Tensor, nn
from torch.nn import functional


class OnnxNet(nn.Module):
    """Runs a graph of the few operations that our export writes, node by node.

    Raises
    ------
    NotImplementedError
        The graph holds another operation.
    """

    def __init__(self, path: Path) -> None:
        super().__init__()
        graph = onnx.load(str(path)).graph
        self._outputs = [output.name for output in graph.output]
        self._steps = [
            (node.op_type, list(node.input), list(node.output), _attributes(node))
            for node in graph.node
        ]
        unknown = {step[0] for step in self._steps} - set(OPERATIONS)
        if unknown:
            raise NotImplementedError(f"no torch form of {sorted(unknown)}")
        self._names = {}
        for index, one in enumerate(graph.initializer):
            # A copy: the array of the file cannot be written to.
            value = torch.from_numpy(numpy_helper.to_array(one).copy())
            self.register_buffer(f"constant_{index}", value)
            self._names[one.name] = f"constant_{index}"

    def forward(self, tile: Tensor) -> dict[str, Tensor]:
        """Return the graph's outputs by name."""
        values: dict[str, Any] = {"tile": tile, "": None}
        values |= {name: getattr(self, buffer) for name, buffer in self._names.items()}
        for kind, inputs, outputs, attributes in self._steps:
            result = OPERATIONS[kind](attributes, *(values[name] for name in inputs))
            values |= zip(outputs, result if isinstance(result, tuple) else (result,), strict=False)
        return {name: values[name] for name in self._outputs}


def _attributes(node: onnx.NodeProto) -> dict[str, Any]:
    return {one.name: onnx.helper.get_attribute_value(one) for one in node.attribute}


def _conv(a: dict[str, Any], x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    top, left, bottom, right = a.get("pads", [0, 0, 0, 0])
    if (top, left) != (bottom, right):
        x, top, left = functional.pad(x, (left, right, top, bottom)), 0, 0
    return functional.conv2d(
        x, weight, bias, a.get("strides", [1, 1]), (top, left), a.get("dilations", [1, 1]),
        a.get("group", 1),
    )  # fmt: skip


def _max_pool(a: dict[str, Any], x: Tensor) -> Tensor:
    return functional.max_pool2d(x, a["kernel_shape"], a.get("strides"), a.get("pads", [0, 0])[:2])


def _average_pool(a: dict[str, Any], x: Tensor) -> Tensor:
    return functional.avg_pool2d(x, a["kernel_shape"], a.get("strides"))


def _resize(a: dict[str, Any], x: Tensor, _: Any, scales: Tensor) -> Tensor:
    factors = [float(scale) for scale in scales[2:]]
    if a.get("mode", b"nearest") == b"nearest":
        return functional.interpolate(x, scale_factor=factors, mode="nearest")
    return functional.interpolate(x, scale_factor=factors, mode="bilinear")


def _depth_to_space(a: dict[str, Any], x: Tensor) -> Tensor:
    if a.get("mode", b"DCR") == b"CRD":
        return functional.pixel_shuffle(x, a["blocksize"])
    side, (n, c, h, w) = a["blocksize"], x.shape
    blocks = x.reshape(n, side, side, c // side**2, h, w).permute(0, 3, 4, 1, 5, 2)
    return blocks.reshape(n, c // side**2, h * side, w * side)


def _reshape(a: dict[str, Any], x: Tensor, shape: Tensor) -> Tensor:
    sides = [x.shape[axis] if side == 0 else side for axis, side in enumerate(shape.tolist())]
    return x.reshape(sides)


def _top_k(a: dict[str, Any], x: Tensor, k: Tensor) -> tuple[Tensor, Tensor]:
    values, indices = x.topk(int(k), dim=a.get("axis", -1))
    return values, indices


def _mean(a: dict[str, Any], x: Tensor, axes: Tensor) -> Tensor:
    return x.mean(dim=axes.tolist(), keepdim=bool(a.get("keepdims", 1)))


OPERATIONS: dict[str, Callable[..., Any]] = {
    "Add": lambda a, x, y: x + y,
    "AveragePool": _average_pool,
    "Clip": lambda a, x, low=None, high=None: torch.clamp(x, low, high),
    "Concat": lambda a, *parts: torch.cat(parts, dim=a["axis"]),
    "Conv": _conv,
    "DepthToSpace": _depth_to_space,
    "Elu": lambda a, x: functional.elu(x, a.get("alpha", 1.0)),
    "MaxPool": _max_pool,
    "Mul": lambda a, x, y: x * y,
    "ReduceMean": _mean,
    "Relu": lambda a, x: torch.relu(x),
    "Reshape": _reshape,
    "Resize": _resize,
    "Sigmoid": lambda a, x: torch.sigmoid(x),
    "Sub": lambda a, x, y: x - y,
    "TopK": _top_k,
}
