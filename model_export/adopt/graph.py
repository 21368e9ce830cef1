"""The difference between a foreign net and a served one, written into the graph."""

import numpy as np
import onnx
from onnx import TensorProto, compose, helper, numpy_helper, version_converter

from model_export.adopt.answers import Settled
from model_export.adopt.errors import AdoptError

OPSET = 18
PREFIX = "net/"
"""Before every name of the foreign graph: none of ours can be one of its."""

CELL = 8
"""Side, in pixels, of the blocks whose means are looked at for the has-mask score: a single bright
pixel is no lesion."""

SURE = 1e-6
"""Closest that a probability may come to 0 or 1 before its logit is taken."""

AREA_MM2 = 10.0
"""Of mask, at which the has-mask score is a half, where it follows the area."""

NAMES = ("tile", "probability", "has_mask", "activation", "classes")


class _Graph:
    """Collects nodes and constants; every `add` returns the name of the new value."""

    def __init__(self) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self.constants: list[onnx.TensorProto] = []

    def add(self, kind: str, *inputs: str, output: str | None = None, **attributes: object) -> str:
        name = output or f"{kind.lower()}_{len(self.nodes)}"
        self.nodes.append(helper.make_node(kind, list(inputs), [name], **attributes))
        return name

    def constant(self, values: object, dtype: type = np.float32) -> str:
        name = f"constant_{len(self.constants)}"
        self.constants.append(numpy_helper.from_array(np.array(values, dtype), name))
        return name

    def integers(self, *values: int) -> str:
        return self.constant(values, np.int64)


def modern(model: onnx.ModelProto) -> onnx.ModelProto:
    """Return a model of the opset that is written here, or of a newer one.

    Raises
    ------
    AdoptError
        It is older, and ONNX cannot convert it.
    """
    version = next((one.version for one in model.opset_import if one.domain in ("", "ai.onnx")), 0)
    if version >= OPSET:
        return model
    try:
        return version_converter.convert_version(model, OPSET)
    except Exception as error:
        raise AdoptError(
            f"the graph is of ONNX opset {version}, and cannot be converted to {OPSET}: export it "
            f"again with opset {OPSET} ({type(error).__name__})"
        ) from error


def wrap(model: onnx.ModelProto, settled: Settled) -> onnx.ModelProto:
    """Return the served graph: `tile` (N, 1, H, W) -> the outputs that a contract names.

    Parameters
    ----------
    model
        The bare net.
    settled
        What is known of it.
    """
    net = compose.add_prefix(modern(model), PREFIX)
    graph = _Graph()
    answer = _answer(graph, net, settled)
    _heads(graph, _probabilities(graph, answer, settled), settled)
    return _model(graph, net, _outputs(settled), settled)


def raw(model: onnx.ModelProto, settled: Settled) -> onnx.ModelProto:
    """Return a graph of the net's own answer, (N, K, H, W), before anything is made of it."""
    net = compose.add_prefix(modern(model), PREFIX)
    graph = _Graph()
    graph.add("Identity", _answer(graph, net, settled), output="raw")
    sides = (None, None)
    return _model(graph, net, [_value("raw", settled.facts.outputs, *sides)], settled)


def _model(
    graph: "_Graph",
    net: onnx.ModelProto,
    outputs: list[onnx.ValueInfoProto],
    settled: Settled,
) -> onnx.ModelProto:
    wrapped = helper.make_model(
        helper.make_graph(
            graph.nodes,
            "mammoseg",
            [_value("tile", 1, *_sides(settled))],
            outputs,
            [*net.graph.initializer, *graph.constants],
            sparse_initializer=list(net.graph.sparse_initializer),
        ),
        opset_imports=list(net.opset_import),
        ir_version=max(net.ir_version, 8),
        producer_name="mammoseg",
        functions=list(net.functions),
    )
    try:
        onnx.checker.check_model(wrapped)
    except onnx.checker.ValidationError as error:
        raise AdoptError(
            f"the graph does not hold together: {str(error).splitlines()[0]}"
        ) from error
    return wrapped


def _prepared(graph: _Graph, settled: Settled) -> str:
    """Write what makes the net's input of a tile, and return its name."""
    pixels, flags, channels = settled.pixels, settled.flags, settled.facts.channels
    value = "tile"
    if flags.invert:
        turned = graph.constant(0.0 if pixels.statistic == "z_score" else 1.0)
        value = graph.add("Sub", turned, value)
    if pixels.window is not None:
        low, high = (one / 65535.0 for one in pixels.window)
        value = graph.add("Sub", value, graph.constant(low))
        value = graph.add("Div", value, graph.constant(high - low))
        value = graph.add("Clip", value, graph.constant(0.0), graph.constant(1.0))
    if pixels.scale != 1.0:
        value = graph.add("Mul", value, graph.constant(pixels.scale))
    if channels > 1:
        value = graph.add("Concat", *[value] * channels, axis=1)
    order = -1 if flags.bgr else 1
    for kind, numbers, neutral in (("Sub", pixels.mean, 0.0), ("Div", pixels.deviation, 1.0)):
        if any(one != neutral for one in numbers):
            each = np.array(numbers, np.float32)[::order].reshape(1, -1, 1, 1)
            value = graph.add(kind, value, graph.constant(each))
    if settled.transposed:
        value = graph.add("Transpose", value, perm=[0, 1, 3, 2])
    if settled.facts.last:
        value = graph.add("Transpose", value, perm=[0, 2, 3, 1])
    return value


def _answer(graph: _Graph, net: onnx.ModelProto, settled: Settled) -> str:
    """Write the net, and return the name of its output as (N, K, H, W)."""
    values, foreign = _prepared(graph, settled), net.graph.input[0].name
    for node in net.graph.node:
        node.input[:] = [values if name == foreign else name for name in node.input]
    graph.nodes += net.graph.node
    named = settled.facts.output
    value = str(net.graph.output[0].name) if named is None else PREFIX + named
    if settled.facts.flat:
        value = graph.add("Unsqueeze", value, graph.integers(1))
    if settled.facts.last:
        value = graph.add("Transpose", value, perm=[0, 3, 1, 2])
    if settled.transposed:
        value = graph.add("Transpose", value, perm=[0, 1, 3, 2])
    return value


def _probabilities(graph: _Graph, value: str, settled: Settled) -> str:
    """Write what makes probabilities (N, K, H, W) of the net's answer, and return their name."""
    if settled.activation == "sigmoid":
        value = graph.add("Sigmoid", value)
    elif settled.activation == "softmax":
        value = graph.add("Softmax", value, axis=1)
    return value


def _heads(graph: _Graph, answer: str, settled: Settled) -> None:
    """Write the outputs."""
    facts, lesions = settled.facts, settled.lesions
    own = graph.add("Gather", answer, graph.integers(*lesions), axis=1)
    if len(lesions) == 1:
        joined = own
    elif exclusive(settled):
        joined = graph.add("ReduceSum", own, graph.integers(1), keepdims=1)
    else:
        joined = graph.add("ReduceMax", own, graph.integers(1), keepdims=1)
    probability = graph.add(
        "Clip", joined, graph.constant(0.0), graph.constant(1.0), output="probability"
    )
    if facts.blend_logits and facts.outputs == 1:
        rest = graph.add("Sub", graph.constant(1.0), probability)
        graph.add("Concat", rest, probability, axis=1, output="classes")
    elif facts.blend_logits:
        graph.add("Identity", answer, output="classes")
    elif class_channels(settled):
        graph.add("Identity", own, output="classes")
    _score(graph, probability, settled)


def exclusive(settled: Settled) -> bool:
    """Say whether the classes' probabilities sum to 1, so that those of several lesions add up."""
    return settled.activation == "softmax" or settled.facts.exclusive


def _score(graph: _Graph, probability: str, settled: Settled) -> None:
    """Write the has-mask logit, made of the map; its bias is what `calibrate` moves."""
    zero = graph.constant(0.0)
    if settled.flags.has_mask == "area":
        sure = graph.add("Cast", graph.add("Greater", probability, graph.constant(0.5)), to=1)
        count = graph.add("ReduceSum", sure, graph.integers(2, 3), keepdims=1)
        share = graph.constant(settled.spacing_mm**2 / AREA_MM2)
        logit = graph.add(
            "Log", graph.add("Add", graph.add("Mul", count, share), graph.constant(SURE))
        )
    else:
        mean = graph.add(
            "AveragePool", probability, kernel_shape=[CELL, CELL], strides=[CELL, CELL]
        )
        clipped = graph.add("Clip", mean, graph.constant(SURE), graph.constant(1.0 - SURE))
        rest = graph.add("Sub", graph.constant(1.0), clipped)
        logit = graph.add("Log", graph.add("Div", clipped, rest))
    graph.add("Add", logit, zero, output="activation")
    highest = graph.add("ReduceMax", "activation", graph.integers(2, 3), keepdims=0)
    graph.add("Identity", highest, output="has_mask")


def _sides(settled: Settled) -> tuple[int | str, int | str]:
    return ("rows", "columns") if settled.free else settled.tile


def _outputs(settled: Settled) -> list[onnx.ValueInfoProto]:
    outputs = [
        _value("probability", 1, *_sides(settled)),
        helper.make_tensor_value_info("has_mask", TensorProto.FLOAT, ["batch", 1]),
        helper.make_tensor_value_info("activation", TensorProto.FLOAT, ["batch", 1, None, None]),
    ]
    if channels := class_channels(settled):
        outputs.append(_value("classes", channels, *_sides(settled)))
    return outputs


def class_channels(settled: Settled) -> int:
    """Return how many channels the output `classes` has; 0 where there is none."""
    if settled.facts.blend_logits:
        return max(2, settled.facts.outputs)
    if len(settled.lesions) > 1 or settled.is_named:
        return len(settled.lesions)
    return 0


def _value(name: str, channels: int, *sides: int | str | None) -> onnx.ValueInfoProto:
    return helper.make_tensor_value_info(name, TensorProto.FLOAT, ["batch", channels, *sides])
