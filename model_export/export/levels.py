"""A graph that takes 16-bit levels, half as much to send to a GPU, and makes its range of them."""

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from service.inference.contract import InputSpec
from service.inference.levels import HIGHEST

RANGED = "_ranged"
"""What the input's name gets added where it is in the net's range."""


def take_levels(model: onnx.ModelProto, spec: InputSpec) -> InputSpec:
    """Let a graph take uint16 levels of its range, in place; see `service.inference.levels`.

    Parameters
    ----------
    model
        One with a float32 input.
    spec
        Of that input.

    Returns
    -------
    Of the input as it now is.
    """
    graph = model.graph
    (tile,) = [one for one in graph.input if one.name == spec.name]
    ranged = spec.name + RANGED
    for node in graph.node:
        for position, name in enumerate(node.input):
            if name == spec.name:
                node.input[position] = ranged
    tile.type.tensor_type.elem_type = TensorProto.UINT16
    step, least = spec.name + "_step", spec.name + "_least"
    values = {step: (spec.maximum - spec.minimum) / HIGHEST, least: spec.minimum}
    graph.initializer.extend(
        numpy_helper.from_array(np.array(value, np.float32), name) for name, value in values.items()
    )
    nodes = [
        helper.make_node("Cast", [spec.name], [spec.name + "_levels"], to=TensorProto.FLOAT),
        helper.make_node("Mul", [spec.name + "_levels", step], [spec.name + "_steps"]),
        helper.make_node("Add", [spec.name + "_steps", least], [ranged]),
        *graph.node,
    ]
    del graph.node[:]
    graph.node.extend(nodes)
    onnx.checker.check_model(model, full_check=True)
    return spec.model_copy(update={"dtype": "uint16"})
