"""Are a graph's inputs and outputs those that its contract names? Looked at before and in a run."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from service.errors import ContractError, NetFailed
from service.inference.contract import Contract

BEYOND = 1e-3
"""By how much a probability may leave [0, 1]: it was computed in half precision."""

KINDS = {"float32": "tensor(float)", "uint16": "tensor(uint16)"}
"""What the runtime calls an input of each type that a contract may name."""


def check_graph(runtime: Any, contract: Contract) -> None:
    """Hold a graph's inputs and outputs against its contract, as far as the graph states them.

    Parameters
    ----------
    runtime
        An `onnxruntime.InferenceSession`.
    contract
        Of the same file.

    Raises
    ------
    ContractError
        They are others than the contract names.
    """
    shape = contract.tiling.tile_shape
    inputs = runtime.get_inputs()
    if len(inputs) != 1:
        raise ContractError(f"the graph has {len(inputs)} inputs, and the contract knows of one")
    (tile,) = inputs
    # A side is a number where the graph takes no other, else the name of a free one, or None.
    free = [not isinstance(side, int) for side in tile.shape[2:]]
    sides = [
        wanted if any_side else side
        for wanted, side, any_side in zip(shape, tile.shape[2:], free, strict=False)
    ]
    if (
        tile.name != contract.input.name
        or tile.type != KINDS[contract.input.dtype]
        or len(tile.shape) != 4
        or [tile.shape[1], *sides] != [1, *shape]
        or ((contract.tiling.narrower or contract.tiling.whole) and not all(free))
    ):
        raise ContractError("the graph's input is not the one that the contract names")
    outputs = {output.name: output for output in runtime.get_outputs()}
    missing = set(contract.outputs.named) - set(outputs)
    if missing:
        raise ContractError(f"the graph lacks the outputs {sorted(missing)}")
    for name, wanted in _wanted_shapes(contract).items():
        stated = outputs[name].shape
        if (
            outputs[name].type != KINDS["float32"]
            or len(stated) != len(wanted)
            or any(
                isinstance(side, int) and needed is not None and side != needed
                for side, needed in zip(stated[1:], wanted[1:], strict=True)
            )
        ):
            raise ContractError(
                f"the graph's output {name} is {outputs[name].type} of {axes(stated)}; the "
                f"contract needs tensor(float) of {axes(wanted)}"
            )


def _wanted_shapes(contract: Contract) -> dict[str, tuple[int | None, ...]]:
    """Return the shape of each output for the largest tile; None where any number will do."""
    names, sides = contract.outputs, contract.tiling.tile_shape
    wanted: dict[str, tuple[int | None, ...]] = {
        names.probability: (None, 1, *sides),
        names.has_mask: (None, 1),
        names.activation: (None, 1, None, None),
    }
    if names.classes is not None and contract.adopted is not None:
        wanted[names.classes] = (None, contract.adopted.channels, *sides)
    return wanted


def axes(shape: Sequence[Any]) -> str:
    """Return a shape as a message tells it, `?` for a side that is not stated."""
    return "(" + ", ".join("?" if side is None else str(side) for side in shape) + ")"


def check_answer(
    outputs: Sequence[NDArray[np.float32]], shape: tuple[int, ...], contract: Contract
) -> None:
    """Hold an answer against the tiles: a graph need not state its outputs' shapes, and may fail.

    A map of which a part is no number would be shown as if it were whole.

    Parameters
    ----------
    outputs
        As the contract's `outputs.named` orders them.
    shape
        Of the tiles, (N, 1, rows, columns).

    Raises
    ------
    ContractError
        An output has another shape.
    NetFailed
        A probability is none, or a logit is no number.
    """
    batch, _, *sides = shape
    wanted = [(batch, 1, *sides), (batch, 1), (batch, 1, *outputs[2].shape[2:])]
    if contract.adopted is not None and contract.outputs.classes is not None:
        wanted.append((batch, contract.adopted.channels, *sides))
    for name, output, right in zip(contract.outputs.named, outputs, wanted, strict=True):
        if output.shape != right or output.ndim != len(right):
            raise ContractError(
                f"the graph's output {name} came out as {axes(output.shape)} instead of "
                f"{axes(right)}"
            )
    probability, has_mask, activation, *classes = outputs
    are_sound = [
        *map(_are_probabilities, (probability, *classes)),
        *map(_are_numbers, (has_mask, activation)),
    ]
    if not all(are_sound):
        raise NetFailed


def _are_probabilities(values: NDArray[np.float32]) -> bool:
    # Written so that NaN, which min and max pass on, fails too.
    return float(values.min()) >= -BEYOND and float(values.max()) <= 1 + BEYOND


def _are_numbers(values: NDArray[np.float32]) -> bool:
    return math.isfinite(float(values.min())) and math.isfinite(float(values.max()))
