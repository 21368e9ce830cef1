import pytest

from service.errors import DeviceError
from service.inference.provider_setup import NEAR, ProviderSetup, choose

pytestmark = pytest.mark.unit

PLAIN, SECOND, THIRD = SETUPS = [
    ProviderSetup("cuda", name, ()) for name in ("plain", "second", "third")
]


def attempts(**seconds: float | str):
    def attempt(setup: ProviderSetup) -> float:
        given = seconds[setup.name]
        if isinstance(given, str):
            raise DeviceError(given)
        return given

    return attempt


def test_the_fastest_is_chosen() -> None:
    assert choose(SETUPS, attempts(plain=3.0, second=1.0, third=2.0)) is SECOND


def test_of_those_as_fast_the_plainest_is_chosen() -> None:
    assert choose(SETUPS, attempts(plain=3.0, second=NEAR, third=1.0)) is SECOND
    assert choose(SETUPS, attempts(plain=3.0, second=NEAR + 0.01, third=1.0)) is THIRD


def test_one_that_is_wrong_is_not_chosen_however_fast() -> None:
    assert choose(SETUPS, attempts(plain=3.0, second="golden", third=2.0)) is THIRD
    assert choose(SETUPS, attempts(plain=3.0, second="golden", third="golden")) is PLAIN


def test_where_the_plainest_fails_the_device_does() -> None:
    tried: list[str] = []

    def attempt(setup: ProviderSetup) -> float:
        tried.append(setup.name)
        raise DeviceError(f"no driver for {setup.name}")

    with pytest.raises(DeviceError, match="no driver for plain"):
        choose(SETUPS, attempt)
    assert tried == ["plain"]
