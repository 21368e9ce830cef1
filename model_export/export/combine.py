"""Several nets in one file: unlike nets err differently, and their mean errs less than each.

Lakshminarayanan et al., "Simple and scalable predictive uncertainty estimation using deep
ensembles", 2017.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
import torch
from numpy.typing import NDArray
from onnx import compose, helper

from model_export.export.golden import golden_of
from model_export.export.half_stored import store_in_half
from model_export.export.layers import GraphBuilder, add_pool
from model_export.export.run import UNCALIBRATED, write
from model_export.export.verify import ROUNDED, SHIFT, difference
from model_export.networks.heads import pool
from model_export.seen_images import say_seen, seen_by, union
from service.inference.contract import Contract, Provenance, Score
from service.inference.session import Session, TileOutputs

SHARED = ("contract_version", "input", "spacing", "normalisation", "accepted_intents", "outputs")
"""What the contracts of members must have in common, besides the tiling."""


@dataclass(frozen=True, slots=True)
class Member:
    """One net: its graph and its contract; calibrated, or its score would not be comparable."""

    model: onnx.ModelProto
    session: Session

    @property
    def contract(self) -> Contract:
        """The file's own."""
        return self.session.contract

    @classmethod
    def open(cls, path: Path) -> "Member":
        """Read a file.

        Raises
        ------
        ContractError, DeviceError
            The service would refuse it.
        """
        session = Session.open(path)
        return cls(onnx.load(path), session)


def combine(paths: Sequence[Path], name: str, version: str, target: Path) -> float:
    """Write one file that answers with the mean of others, and compare it with them.

    Probabilities are averaged, and so are the activation maps, each over its member's temperature.
    Thresholds are for `calibrate` to choose. Weights are stored in half precision and computed
    with in single.

    Parameters
    ----------
    paths
        Calibrated files of two nets or more.
    name, version
        Of the new model.
    target
        The .onnx file.

    Returns
    -------
    Largest absolute difference in probability, of the map and of the score, between the file and
    the mean of its members.

    Raises
    ------
    ValueError
        There are fewer than two, they are not made for the same input, or the file differs from
        its members by more than `ROUNDED`.
    ContractError, DeviceError
        The service would refuse a member, or the file.
    """
    members = [Member.open(path) for path in paths]
    contract = _contract(members, name, version)
    model = _graph(members, contract)
    store_in_half(model)
    say_seen(model, union(seen_by(member.model) for member in members))
    write(model, contract, target)
    largest = difference(Session.open(target), lambda tile: _mean(members, tile))
    if not largest <= ROUNDED:
        target.unlink()
        raise ValueError(f"the file differs from its members by {largest:.2g}")
    return largest


def _contract(members: Sequence[Member], name: str, version: str) -> Contract:
    if len(members) < 2:
        raise ValueError("two members at least")
    contracts = [member.contract for member in members]
    first = contracts[0]
    if first.input.dtype != "float32":
        raise ValueError("members must not be halved; halve what becomes of them")
    sight = max(one.tiling.receptive_field for one in contracts)
    tiling = first.tiling.model_copy(update={"receptive_field": sight})
    for other in contracts[1:]:
        if other.tiling.model_copy(update={"receptive_field": sight}) != tiling or any(
            getattr(first, part) != getattr(other, part) for part in SHARED
        ):
            raise ValueError(f"{first.name} and {other.name} are not made for the same input")
    provenances = [one.provenance for one in contracts]
    provenance = Provenance(
        training_data=_union([one.training_data for one in provenances]),
        licence=_joined([one.licence for one in provenances]),
        intended_use=provenances[0].intended_use,
        evaluation={SHIFT: 0.0},
    )
    changes = {
        "name": name,
        "version": version,
        "tiling": tiling,
        "score": Score(rule="max", temperature=1.0),
        "operating_point": UNCALIBRATED,
        "provenance": provenance,
        "golden": golden_of(first.input, tiling.tile_size, lambda tile: _mean(members, tile)),
    }
    return first.model_copy(update=changes)


def _joined(licences: Sequence[str]) -> str:
    """Return every licence once; what another one says already is left out."""
    each = list(dict.fromkeys(licences))
    return " ".join(one for one in each if not any(one in other for other in each if other != one))


def _union(sources: Sequence[tuple[str, ...]]) -> tuple[str, ...]:
    return tuple(sorted({one for each in sources for one in each}))


def _mean(members: Sequence[Member], tile: NDArray[np.float32]) -> TileOutputs:
    """Return what the combined file is to answer, from what its members do."""
    outputs = [member.session.run(tile) for member in members]
    temperatures = [member.contract.score.temperature for member in members]
    activation = np.mean(
        [one.activation / t for one, t in zip(outputs, temperatures, strict=True)], axis=0
    )
    return TileOutputs(
        probability=np.mean([one.probability for one in outputs], axis=0),
        has_mask=pool(torch.from_numpy(activation[:, None]))[:, 0].numpy(),
        activation=activation,
    )


def _graph(members: Sequence[Member], contract: Contract) -> onnx.ModelProto:
    """Put the members' nodes side by side, and the means behind them."""
    graph, maps, activations = GraphBuilder(), [], []
    names = contract.outputs
    for index, member in enumerate(members):
        prefix = f"net{index}/"
        own = compose.add_prefix(member.model, prefix, rename_inputs=False).graph
        graph.nodes += own.node
        graph.constants += own.initializer
        maps.append(prefix + names.probability)
        share = graph.number(1.0 / member.contract.score.temperature / len(members))
        activations.append(graph.add("Mul", prefix + names.activation, share))
    total = graph.add("Sum", *maps)
    graph.add("Mul", total, graph.number(1.0 / len(members)), output=names.probability)
    # A bias of its own, which calibration moves.
    bias = graph.number(0.0)
    activation = graph.add("Add", graph.add("Sum", *activations), bias, output=names.activation)
    add_pool(graph, activation)
    return model_like(members[0].model, graph)


def model_like(first: onnx.ModelProto, graph: GraphBuilder) -> onnx.ModelProto:
    """Make a model of nodes and constants, with inputs, outputs and opset of another, and check it.

    Raises
    ------
    onnx.checker.ValidationError
        It is no sound model.
    """
    model = helper.make_model(
        helper.make_graph(
            graph.nodes, "mammoseg", first.graph.input, first.graph.output, graph.constants
        ),
        opset_imports=first.opset_import,
        ir_version=first.ir_version,
        producer_name=first.producer_name,
    )
    onnx.checker.check_model(model, full_check=True)
    return model
