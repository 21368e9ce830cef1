import pytest
from pydantic import TypeAdapter, ValidationError

from model_export.networks import LiteOptions, NetworkOptions
from tests.model_export.lived_in import KINDS, LARGE, SWITCHED, name

pytestmark = pytest.mark.unit

ADAPTER: TypeAdapter[NetworkOptions] = TypeAdapter(NetworkOptions)


def test_lite_starts_from_imagenet_and_skips() -> None:
    assert ADAPTER.validate_python({"kind": "lite"}) == LiteOptions(pretrained=True, skips="plain")


@pytest.mark.parametrize("options", [*KINDS, *SWITCHED, *LARGE], ids=name)
def test_options_survive_a_file(options: NetworkOptions) -> None:
    assert ADAPTER.validate_json(ADAPTER.dump_json(options)) == options


@pytest.mark.parametrize(
    ("kind", "option", "value"),
    [
        ("lite", "block", "residual"),
        ("small", "pretrained", True),
        ("seed", "skips", "plain"),
        ("unet", "rotation_max", True),
    ],
)
def test_an_option_that_a_kind_does_not_know_is_refused_by_name(
    kind: str, option: str, value: object
) -> None:
    with pytest.raises(ValidationError, match=f"{kind}.{option}"):
        ADAPTER.validate_python({"kind": kind, option: value})


def test_only_a_plain_last_convolution_can_turn() -> None:
    with pytest.raises(ValidationError, match="rotation_max"):
        ADAPTER.validate_python({"kind": "small", "rotation_max": True, "block": "inception"})
