"""The targets and mutators without the fuzzer: every seed, and a few hundred changed ones."""

import functools
from random import Random

import pytest

from tests.fuzz.peak import peak_bytes
from tests.fuzz.targets import MAX_INPUT_BYTES, TARGETS

pytestmark = pytest.mark.integration

CHANGED = 60

HARMLESS = [name for name in TARGETS if name != "sandboxed"]
"""What may be run where a crash would end more than a reader."""


@functools.cache
def seeds(name: str) -> list[bytes]:
    return list(TARGETS[name].seeds())


@pytest.mark.parametrize("name", HARMLESS)
def test_no_seed_is_a_finding(name: str) -> None:
    target = TARGETS[name]
    assert len(seeds(name)) > 5
    for body in seeds(name):
        assert peak_bytes(functools.partial(target.run, body)) <= target.bound


@pytest.mark.parametrize("name", HARMLESS)
def test_changed_ones_are_none_either(name: str) -> None:
    target, rng = TARGETS[name], Random(1)
    different = 0
    for _ in range(CHANGED):
        body = rng.choice(seeds(name))
        changed = target.change(body, rng)[:MAX_INPUT_BYTES]
        different += changed != body
        assert peak_bytes(functools.partial(target.run, changed)) <= target.bound
    assert different > CHANGED // 2


def test_a_finding_is_raised(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object, **__: object) -> None:
        raise ZeroDivisionError

    body = seeds("dicom")[0]
    monkeypatch.setattr("tests.fuzz.targets.read_dicom", broken)
    with pytest.raises(ZeroDivisionError):
        TARGETS["dicom"].run(body)
