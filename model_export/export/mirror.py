"""A net that looks twice: at a tile and at its mirror image, and answers with the mean.

Costs the net's time once more and no weights. A breast's own side says nothing of where its lesions
are, so both answers are as good, and their errors differ a little.
"""

from pathlib import Path

import numpy as np
import onnx
import torch
from numpy.typing import NDArray
from onnx import compose

from model_export.export.combine import Member, model_like
from model_export.export.golden import golden_of
from model_export.export.layers import GraphBuilder, add_pool
from model_export.export.run import UNCALIBRATED, write
from model_export.export.verify import PARITY, SHIFT, difference, has_mask_shift
from model_export.networks.heads import pool
from model_export.seen_images import say_seen, seen_by
from service.inference.contract import Contract
from service.inference.session import Session, TileOutputs

PLAIN, TURNED = "plain/", "turned/"
"""What the names of the values of each look begin with."""

_TO_THE_FIRST = np.iinfo(np.int64).min
"""Where a backward slice ends that takes everything."""


def mirror(path: Path, version: str, target: Path) -> float:
    """Write a file that answers with the mean of a net's answers to a tile and to its mirror image.

    Thresholds are for `calibrate` to choose.

    Parameters
    ----------
    path
        The net's file.
    version
        Of the new model.
    target
        The .onnx file.

    Returns
    -------
    Largest absolute difference in probability, of the map and of the score, between the file and
    that mean.

    Raises
    ------
    ValueError
        The net looks at mirror images already, takes levels, or the file differs from the mean by
        more than `PARITY`.
    ContractError, DeviceError
        The service would refuse the net, or the file.
    """
    net = Member.open(path)
    if any(name.startswith(TURNED) for node in net.model.graph.node for name in node.output):
        raise ValueError(f"{path.name} looks at mirror images already")
    if net.contract.input.dtype != "float32":
        raise ValueError("mirror a file before it is halved")
    model = _graph(net)
    say_seen(model, seen_by(net.model))
    write(model, _contract(net, version), target)
    largest = difference(Session.open(target), lambda tile: _mean(net.session, tile))
    if not largest <= PARITY:
        target.unlink()
        raise ValueError(f"the file differs from the mean by {largest:.2g}")
    return largest


def _contract(net: Member, version: str) -> Contract:
    contract = net.contract
    evaluation: dict[str, float | str] = {SHIFT: has_mask_shift(contract)}
    golden = golden_of(
        contract.input, contract.tiling.tile_size, lambda tile: _mean(net.session, tile)
    )
    changes = {
        "version": version,
        "operating_point": UNCALIBRATED,
        "provenance": contract.provenance.model_copy(update={"evaluation": evaluation}),
        "golden": golden,
    }
    return contract.model_copy(update=changes)


def _mean(session: Session, tile: NDArray[np.float32]) -> TileOutputs:
    """Return what the new file is to answer."""
    plain = session.run(tile)
    turned = session.run(np.ascontiguousarray(tile[..., ::-1]))
    half = np.float32(0.5)
    activation = half * (plain.activation + turned.activation[..., ::-1])
    return TileOutputs(
        probability=half * (plain.probability + turned.probability[..., ::-1]),
        has_mask=pool(torch.from_numpy(activation[:, None]))[:, 0].numpy(),
        activation=activation,
    )


def _graph(net: Member) -> onnx.ModelProto:
    """Put the net's nodes there twice over the same constants, and the means behind them."""
    names, first = net.contract.outputs, net.model
    graph = GraphBuilder()
    graph.constants += first.graph.initializer
    flipped = _flip(graph, net.contract.input.name)
    probabilities, activations = [], []
    for prefix, tile in ((PLAIN, net.contract.input.name), (TURNED, flipped)):
        own = compose.add_prefix(
            first, prefix, rename_inputs=False, rename_initializers=False
        ).graph
        for node in own.node:
            node.input[:] = [tile if one == net.contract.input.name else one for one in node.input]
        graph.nodes += own.node
        probabilities.append(prefix + names.probability)
        activations.append(prefix + names.activation)
    for pair in (probabilities, activations):
        pair[1] = _flip(graph, pair[1])
    half = graph.number(0.5)
    graph.add("Mul", graph.add("Add", *probabilities), half, output=names.probability)
    mean = graph.add("Mul", graph.add("Add", *activations), half)
    # A bias of its own, which calibration moves.
    add_pool(graph, graph.add("Add", mean, graph.number(0.0), output=names.activation))
    return model_like(first, graph)


def _flip(graph: GraphBuilder, value: str) -> str:
    """Append what turns the columns of (N, 1, H, W) around."""
    bounds = ([-1], [_TO_THE_FIRST], [3], [-1])
    return graph.add("Slice", value, *(graph.constant(np.array(one, np.int64)) for one in bounds))
