import json

import pytest

from service.errors import ContractError
from service.inference.contract import PREFIX, Contract
from tests.identity_net import identity_contract

pytestmark = pytest.mark.unit


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
    assert set(identity_contract().to_metadata()) == {
        PREFIX + name for name in Contract.model_fields
    }


@pytest.mark.parametrize("field", sorted(Contract.model_fields))
def test_a_missing_property_is_refused_by_name(field: str) -> None:
    metadata = identity_contract().to_metadata()
    del metadata[PREFIX + field]
    with pytest.raises(ContractError, match=PREFIX + field):
        Contract.from_metadata(metadata)


@pytest.mark.parametrize(
    ("field", "path", "value"),
    [
        ("contract_version", (), 2),
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
