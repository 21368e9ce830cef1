import base64
import json

import numpy as np
import pytest
from numpy.typing import NDArray

from service.errors import ContractError
from service.imaging.normalise import WholeImage
from service.inference.adopted import Adopted, ClassCode, LesionClass
from service.inference.contract import PREFIX, Contract
from service.inference.tiling import Tiling
from tests.identity_net import identity_contract

pytestmark = pytest.mark.unit

VERSION_1 = sorted(set(Contract.model_fields) - {"adopted"})
RECTANGLE = Tiling(
    tile_size=48,
    tile_columns=100,
    stride=24,
    stride_columns=50,
    placement="even",
    blend="gaussian",
    receptive_field=1,
)


def adopted_contract(**changes: object) -> Contract:
    fields: dict[str, object] = {
        "contract_version": 2,
        "tiling": RECTANGLE,
        "normalisation": WholeImage(kind="z_score"),
        "adopted": Adopted(framework="onnx", proof="unproven"),
    }
    return identity_contract(**(fields | changes))


def test_a_contract_survives_the_round_trip_through_metadata() -> None:
    contract = identity_contract()
    assert Contract.from_metadata(contract.to_metadata()) == contract


def test_shapes_come_from_the_smallest_to_the_whole_tile() -> None:
    tiling = identity_contract().tiling
    assert tiling.shapes == ((64, 64),)
    narrower = tiling.model_copy(update={"narrower": ((64, 32), (32, 32), (32, 64))})
    assert narrower.shapes == ((32, 32), (32, 64), (64, 32), (64, 64))


def test_properties_of_others_are_left_alone() -> None:
    metadata = identity_contract().to_metadata() | {"producer": "somebody"}
    assert Contract.from_metadata(metadata).name == "identity"


def test_every_field_is_a_property_of_its_own() -> None:
    assert set(identity_contract().to_metadata()) == {PREFIX + name for name in VERSION_1}
    assert set(adopted_contract().to_metadata()) == {
        PREFIX + name for name in Contract.model_fields
    }


def test_version_1_says_nothing_that_older_readers_do_not_know() -> None:
    metadata = identity_contract().to_metadata()
    assert set(json.loads(metadata[PREFIX + "tiling"])) == {
        "tile_size", "narrower", "whole", "whole_tiles", "stride", "blend", "receptive_field"
    }  # fmt: skip
    assert "classes" not in json.loads(metadata[PREFIX + "outputs"])


def test_version_2_survives_the_round_trip_through_metadata() -> None:
    contract = adopted_contract()
    assert Contract.from_metadata(contract.to_metadata()) == contract
    assert contract.tiling.tile_shape == (48, 100)
    assert contract.tiling.strides == (24, 50)


@pytest.mark.parametrize(
    "changes",
    [
        {"tiling": RECTANGLE},
        {"normalisation": WholeImage(kind="z_score")},
        {"adopted": Adopted(framework="onnx", proof="unproven")},
        {"tiling": Tiling(tile_size=40, stride=32, blend="hann", receptive_field=1)},
    ],
)
def test_version_1_may_not_say_what_version_2_is_for(changes: dict[str, object]) -> None:
    with pytest.raises(ValueError, match="needs contract version 2"):
        identity_contract(**changes)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"adopted": None}, "version 2 is for adopted nets"),
        (
            {"adopted": Adopted(framework="onnx", proof="unproven", channels=2)},
            "channels need an output",
        ),
        ({"tiling": RECTANGLE.model_copy(update={"blend_in": "logarithm"})}, "of classes"),
    ],
)
def test_version_2_says_one_thing_only(changes: dict[str, object], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        adopted_contract(**changes)


@pytest.mark.parametrize("word", ["Läsion", "a\\b", " mass", "病変"])
def test_what_stands_in_dicom_results_is_ascii(word: str) -> None:
    """The image's own character set holds there, and may hold no other letters."""
    with pytest.raises(ValueError, match="pattern"):
        LesionClass(name=word, channel=1)
    for field in ("value", "scheme", "meaning"):
        words = {"value": "4147007", "scheme": "SCT", "meaning": "Mass"} | {field: word}
        with pytest.raises(ValueError, match="pattern"):
            ClassCode(**words)


def test_a_class_is_a_channel_of_its_own() -> None:
    mass = LesionClass(name="mass", channel=1)
    with pytest.raises(ValueError, match="does not have"):
        Adopted(framework="onnx", proof="unproven", channels=1, classes=(mass,))
    with pytest.raises(ValueError, match="share"):
        Adopted(framework="onnx", proof="unproven", channels=2, classes=(mass, mass))


@pytest.mark.parametrize(
    ("values", "said"),
    [
        (np.full((8, 8), 3.0), "sigmoid or softmax missing"),
        (np.full((8, 8), -2.0), "sigmoid or softmax missing"),
        (np.full((8, 8), np.nan), "sigmoid or softmax missing"),
        (np.linspace(0.5, 0.731, 64), "sigmoid of a sigmoid"),
    ],
)
def test_a_golden_answer_that_is_no_probability_is_refused(
    values: NDArray[np.float64], said: str
) -> None:
    packed = base64.b64encode(values.astype("<f2").tobytes()).decode()
    golden = identity_contract().golden.model_copy(update={"probability_eighth": packed})
    with pytest.raises(ContractError, match=said):
        golden.expected_probability((64, 64))


@pytest.mark.parametrize("field", VERSION_1)
def test_a_missing_property_is_refused_by_name(field: str) -> None:
    metadata = identity_contract().to_metadata()
    del metadata[PREFIX + field]
    with pytest.raises(ContractError, match=PREFIX + field):
        Contract.from_metadata(metadata)


@pytest.mark.parametrize(
    ("field", "path", "value"),
    [
        ("contract_version", (), 3),
        ("version", (), "one"),
        ("tiling", ("tile_size",), 100),
        ("tiling", ("stride",), 128),
        ("tiling", ("narrower",), [[64, 96]]),
        ("tiling", ("narrower",), [[64, 20]]),
        ("spacing", ("working_mm",), 0.0),
        ("score", ("temperature",), 0.0),
        ("score", ("rule",), "mean"),
        ("operating_point", ("mask",), 0.1),
        ("operating_point", ("has_mask",), 1.5),
        ("normalisation", ("low_percentile",), 100.0),
        ("normalisation", ("unknown",), 1),
        ("accepted_intents", (), ["guess"]),
        ("golden", ("tolerance",), 1.0),
    ],
)
def test_a_value_out_of_bounds_is_refused_by_name(
    field: str, path: tuple[str, ...], value: object
) -> None:
    metadata = identity_contract().to_metadata()
    document = json.loads(metadata[PREFIX + field])
    if path:
        document[path[0]] = value
    else:
        document = value
    metadata[PREFIX + field] = json.dumps(document)
    with pytest.raises(ContractError, match=PREFIX + field):
        Contract.from_metadata(metadata)


def test_a_property_that_is_not_json_is_refused_by_name() -> None:
    metadata = identity_contract().to_metadata() | {PREFIX + "name": "identity"}
    with pytest.raises(ContractError, match=f"{PREFIX}name is not JSON"):
        Contract.from_metadata(metadata)
