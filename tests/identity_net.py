"""A net that says where the image is bright: it lets tests follow geometry to the pixel.

`probability` is the tile itself, `activation` its maximum over cells of 32 x 32, `has_mask` four
times the overall maximum minus 2: a logit of 2 where anything is as bright as the breast's
99th percentile.
"""

import base64
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import onnx
from onnx import TensorProto, helper

from model_export.export.levels import take_levels
from service.imaging.normalise import Normalisation
from service.inference.contract import (
    Contract,
    GoldenTile,
    InputSpec,
    OperatingPoint,
    OutputNames,
    Provenance,
    Score,
    Spacing,
)
from service.inference.tiling import Tiling

TILE = 64


def identity_contract(**changes: Any) -> Contract:
    """Return the identity net's contract, with some fields replaced."""
    golden = np.tile(np.linspace(0, 255, TILE).astype(np.uint8), (TILE, 1))
    _, png = cv2.imencode(".png", golden)
    values = np.clip(golden.astype(np.float32) / 255.0, 0, 1)
    eighth = values.reshape(TILE // 8, 8, TILE // 8, 8).mean(axis=(1, 3))
    fields: dict[str, Any] = {
        "contract_version": 1,
        "name": "identity",
        "version": "0.0.1",
        "input": InputSpec(name="tile", dtype="float32", minimum=0.0, maximum=1.0),
        "tiling": Tiling(tile_size=TILE, stride=32, blend="hann", receptive_field=1),
        "spacing": Spacing(working_mm=1.0, assumed_long_side_mm=240.0),
        "normalisation": Normalisation(low_percentile=0.0, high_percentile=100.0, maximum=1.0),
        "accepted_intents": ("presentation", "film", "unstated"),
        "outputs": OutputNames(
            probability="probability", has_mask="has_mask", activation="activation"
        ),
        "score": Score(rule="max", temperature=1.0),
        "operating_point": OperatingPoint(
            has_mask=0.5,
            chosen_by="by hand",
            mask=0.8,
            candidate=0.6,
            minimum_region_mm2=0.0,
        ),
        "provenance": Provenance(
            training_data=("none",), licence="Apache-2.0", intended_use="tests", evaluation={}
        ),
        "golden": GoldenTile(
            tile_png=base64.b64encode(png.tobytes()).decode(),
            probability_eighth=base64.b64encode(eighth.astype("<f2").tobytes()).decode(),
            has_mask_logit=2.0,
            tolerance=1e-3,
        ),
    }
    return Contract.model_validate(fields | changes)


def levels_contract() -> Contract:
    """Return the contract of the identity net that takes 16-bit levels."""
    spec = InputSpec(name="tile", dtype="uint16", minimum=0.0, maximum=1.0)
    return identity_contract(input=spec)


def write_scored_net(path: Path, logit: float, version: str = "0.0.1") -> Path:
    """Write an identity net that answers another logit than 2 to what is bright, replacing a file.

    As it should be done beside a running service: the file is whole when it is there.
    """
    contract = identity_contract(version=version)
    golden = contract.golden.model_copy(update={"has_mask_logit": logit})
    new = path.with_name(f"{path.name}.new")
    write_identity_net(new, contract.model_copy(update={"golden": golden}), logit)
    return new.replace(path)


def write_identity_net(path: Path, contract: Contract | None = None, logit: float = 2.0) -> Path:
    """Write the net as an ONNX file with its contract and give the path.

    `logit` is what it answers where anything is as bright as can be, as in the golden tile.
    """
    contract = contract or identity_contract()
    floats = TensorProto.FLOAT
    nodes = [
        helper.make_node("Clip", ["tile", "zero", "one"], ["probability"]),
        helper.make_node(
            "MaxPool", ["probability"], ["activation"], kernel_shape=[32, 32], strides=[32, 32]
        ),
        helper.make_node("GlobalMaxPool", ["activation"], ["top"]),
        helper.make_node("Flatten", ["top"], ["flat"]),
        helper.make_node("Mul", ["flat", "four"], ["scaled"]),
        helper.make_node("Sub", ["scaled", "two"], ["has_mask"]),
    ]
    constants = {"zero": 0.0, "one": 1.0, "two": 4.0 - logit, "four": 4.0}
    graph = helper.make_graph(
        nodes,
        "identity",
        [helper.make_tensor_value_info("tile", floats, ["batch", 1, "rows", "columns"])],
        [
            helper.make_tensor_value_info("probability", floats, ["batch", 1, "rows", "columns"]),
            helper.make_tensor_value_info("has_mask", floats, ["batch", 1]),
            helper.make_tensor_value_info("activation", floats, ["batch", 1, None, None]),
        ],
        [helper.make_tensor(name, floats, [], [value]) for name, value in constants.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)
    if contract.input.dtype == "uint16":
        take_levels(model, contract.input)
    helper.set_model_props(model, contract.to_metadata())
    onnx.save(model, str(path))
    return path
