"""A file that computes in half precision, for GPUs: half the traffic, and tensor cores.

Outputs stay single, and so does what follows the last convolutions, these included: the logits
and their sigmoid. The input comes as 16-bit levels, and is brought to the net's range in single.
Where a net's first layers do not bear rounding, as few of them as must be stay single too.
"""

from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from model_export.export.golden import golden_of
from model_export.export.levels import take_levels
from model_export.export.run import write
from model_export.export.verify import SHIFT, difference, has_mask_shift
from service.inference.contract import Contract
from service.inference.session import Session

CLOSE = 1e-2
"""Largest difference allowed between the file and the one in single precision, in probability."""

FIRST_SINGLE = (0, 2, 4, 6, 9, 12, 16, 20)
"""Counts of first convolutions that stay single, tried in turn until the files are close."""

ALWAYS_SINGLE = {"Resize": (1, 2)}
"""Inputs, by position, that a kind of node takes in single precision alone (ONNX, Resize-18)."""


def halve(source: Path, target: Path, version: str) -> float:
    """Write a file that computes in half what another does in single, and compare the two.

    The contract goes along, operating point and all; but figures of an evaluation do not, since
    they were taken of the other file, and the golden answer is this file's own, so that a device's
    tolerance is not spent on rounded weights.

    Parameters
    ----------
    source
        A file that the service takes.
    target
        The .onnx file.
    version
        Of the new model, major.minor.patch.

    Returns
    -------
    Largest absolute difference in probability, of the map and of the score. A CPU without half
    precision casts, and computes in single: what a GPU makes of it, the golden tile tells at each
    start.

    Raises
    ------
    ValueError
        The files differ by more than `CLOSE` however many first convolutions stay single, the
        source is halved already, or `version` is none.
    ContractError
        The service would refuse the source.
    """
    single = Session.open(source)
    if single.contract.input.dtype != "float32":
        raise ValueError("it computes in half precision already")
    for first in FIRST_SINGLE:
        contract = _contract(single.contract, version)
        model = onnx.load(source)
        compute_in_half(model, first)
        contract = contract.model_copy(update={"input": take_levels(model, contract.input)})
        write(model, contract, target)
        half = Session.open(target)
        largest = difference(half, single.run)
        if largest <= CLOSE:
            golden = golden_of(contract.input, contract.tiling.tile_size, half.run)
            write(model, contract.model_copy(update={"golden": golden}), target)
            return largest
    target.unlink()
    raise ValueError(f"in half precision the file differs by {largest:.2g}")


def _contract(single: Contract, version: str) -> Contract:
    evaluation = {SHIFT: has_mask_shift(single)}
    provenance = single.provenance.model_copy(update={"evaluation": evaluation})
    changes = {"version": version, "provenance": provenance}
    return Contract.model_validate(single.model_dump() | changes)


def compute_in_half(model: onnx.ModelProto, first_single: int = 0) -> None:
    """Let every node but the last compute in half precision, in place.

    Parameters
    ----------
    first_single
        What lies at most so many convolutions behind the input stays single too.
    """
    _unpack(model.graph)
    wiring = _Wiring(model.graph, first_single)
    nodes = []
    for node in model.graph.node:
        nodes += [*wiring.connect(node), node]
    del model.graph.node[:]
    model.graph.node.extend(nodes)
    used = {name for node in nodes for name in node.input}
    constants = [one for one in wiring.constants.values() if one.name in used]
    del model.graph.initializer[:]
    model.graph.initializer.extend(constants)
    onnx.checker.check_model(model, full_check=True)


def _unpack(graph: onnx.GraphProto) -> None:
    """Widen constants that are stored in half precision, and drop the nodes that do it."""
    stored = {one.name: one for one in graph.initializer}
    nodes = []
    for node in graph.node:
        if node.op_type == "Cast" and node.input[0] in stored:
            constant = stored[node.input[0]]
            values = numpy_helper.to_array(constant).astype(np.float32)
            constant.CopyFrom(numpy_helper.from_array(values, node.output[0]))
        else:
            nodes.append(node)
    del graph.node[:]
    graph.node.extend(nodes)


def _single(graph: onnx.GraphProto) -> set[str]:
    """Name the values that stay single: the outputs, back to the last convolutions' own."""
    makers = {output: node for node in graph.node for output in node.output}
    single: set[str] = set()
    waiting = [output.name for output in graph.output]
    while waiting:
        name = waiting.pop()
        if name in single or name not in makers:
            continue
        single.update(makers[name].output)
        if makers[name].op_type != "Conv":
            waiting += makers[name].input
    return single


def _near_input(graph: onnx.GraphProto, convolutions: int) -> set[str]:
    """Name the values that lie at most so many convolutions behind the input; none for 0."""
    behind = {one.name: 0 for one in graph.input}
    for node in graph.node:
        before = max((behind[name] for name in node.input if name in behind), default=0)
        depth = before + (node.op_type == "Conv")
        behind.update(dict.fromkeys(node.output, depth))
    return {name for name, depth in behind.items() if convolutions and depth <= convolutions}


class _Wiring:
    """Gives each node its inputs in the precision that it computes in."""

    def __init__(self, graph: onnx.GraphProto, first_single: int) -> None:
        self.constants = {one.name: one for one in graph.initializer}
        self._computed_single = _single(graph) | _near_input(graph, first_single)
        self._single = self._computed_single | {one.name for one in graph.input}
        self._cast: set[str] = set()

    def connect(self, node: onnx.NodeProto) -> list[onnx.NodeProto]:
        """Rename a node's inputs, and give the casts that must come before it."""
        half = node.output[0] not in self._computed_single
        casts = []
        for position, name in enumerate(node.input):
            if not name or position in ALWAYS_SINGLE.get(node.op_type, ()):
                continue
            if name in self.constants:
                node.input[position] = self._constant(name) if half else name
            elif (name not in self._single) != half:
                node.input[position] = name + ("_half" if half else "_single")
                casts += self._casts(name, node.input[position], half)
        return casts

    def _constant(self, name: str) -> str:
        """Return a constant's name in half precision; one of integers keeps its own."""
        constant = self.constants[name]
        if constant.data_type != TensorProto.FLOAT:
            return name
        half = name + "_half"
        if half not in self.constants:
            values = numpy_helper.to_array(constant).astype(np.float16)
            self.constants[half] = numpy_helper.from_array(values, half)
        return half

    def _casts(self, name: str, wanted: str, half: bool) -> list[onnx.NodeProto]:
        if wanted in self._cast:
            return []
        self._cast.add(wanted)
        to = TensorProto.FLOAT16 if half else TensorProto.FLOAT
        return [helper.make_node("Cast", [name], [wanted], to=to)]
