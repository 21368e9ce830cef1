import pytest

from model_export.datasets.splits import split_of

pytestmark = pytest.mark.unit


def test_the_split_never_changes() -> None:
    # A changed hash would report on patients that trained, unseen.
    found = [split_of("cdd-cesm", f"P{number}") for number in range(12)]
    assert [number for number, split in enumerate(found) if split == "test"] == [4, 7]


def test_a_set_s_own_test_patients_report_and_validation_comes_out_of_the_rest() -> None:
    names = [str(number) for number in range(2000)]
    assert {split_of("cbis-ddsm-800", name, "test") for name in names} == {"test"}
    train = [split_of("cbis-ddsm-800", name, "train") for name in names]
    assert set(train) == {"train", "validation"}
    assert train.count("validation") == pytest.approx(0.12 * 2000, rel=0.15)


def test_a_copy_of_a_set_splits_its_patients_as_the_set_does() -> None:
    for name in map(str, range(200)):
        assert split_of("cbis-ddsm-800", name, "train") == split_of("cbis-ddsm", name, "train")


@pytest.mark.parametrize(("split", "share"), [("test", 0.20), ("validation", 0.12)])
def test_the_shares_are_held_and_sources_are_split_apart(split: str, share: float) -> None:
    names = [str(number) for number in range(5000)]
    held = {name for name in names if split_of("mini-mias", name) == split}
    assert len(held) == pytest.approx(share * 5000, rel=0.1)
    assert held != {name for name in names if split_of("rsna-640", name) == split}
