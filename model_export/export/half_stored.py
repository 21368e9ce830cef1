"""Large weights stored in half precision and computed with in single: half the bytes of a file."""

import numpy as np
import onnx
import torch
from onnx import TensorProto, helper, numpy_helper

from model_export.networks import SegmentationNet

LARGE = 1024
"""Numbers from which a tensor is stored in half precision."""


def store_in_half(model: onnx.ModelProto) -> None:
    """Store the large tensors in half precision, in place, each with a node that widens it.

    The runtime widens them once, when it opens the file.
    """
    widened = []
    for tensor in model.graph.initializer:
        values = numpy_helper.to_array(tensor)
        if tensor.data_type != TensorProto.FLOAT or values.size < LARGE:
            continue
        name, half = tensor.name, tensor.name + "_half"
        tensor.CopyFrom(numpy_helper.from_array(values.astype(np.float16), half))
        widened.append(helper.make_node("Cast", [half], [name], to=TensorProto.FLOAT))
    nodes = [*widened, *model.graph.node]
    del model.graph.node[:]
    model.graph.node.extend(nodes)


def is_stored_in_half(model: onnx.ModelProto) -> bool:
    """Say whether any tensor of a graph is stored in half precision."""
    return any(one.data_type == TensorProto.FLOAT16 for one in model.graph.initializer)


@torch.no_grad()
def round_weights(net: SegmentationNet) -> None:
    """Round the large weights of a net, in place, to what is left of them in half precision.

    What is then said of the net, its golden tile above all, is true of the stored file.
    """
    for weight in net.parameters():
        if weight.numel() >= LARGE:
            weight.copy_(weight.half().float())
