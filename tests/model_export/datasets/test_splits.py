import pytest

from model_export.datasets.splits import split_of

pytestmark = pytest.mark.unit


def test_the_split_never_changes() -> None:
    # A changed hash would put training patients into validation, unseen.
    found = [split_of("cdd-cesm", f"P{number}") for number in range(12)]
    assert [number for number, split in enumerate(found) if split == "validation"] == [4, 7]


def test_about_a_fifth_validates_and_sources_are_split_apart() -> None:
    names = [str(number) for number in range(5000)]
    held = {name for name in names if split_of("mini-mias", name) == "validation"}
    assert len(held) == pytest.approx(1000, rel=0.1)
    assert held != {name for name in names if split_of("rsna-640", name) == "validation"}
