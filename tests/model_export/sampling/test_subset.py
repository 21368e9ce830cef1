from dataclasses import replace

import pytest

from model_export.sampling.subset import nested_share
from tests.model_export.samples import packed

pytestmark = pytest.mark.unit

ONE = packed("cdd-cesm", "a", has_lesion=True)
SAMPLES = [
    replace(ONE, patient=f"P{number // 2}", name=f"{number}", source=source)
    for source in ("cdd-cesm", "mini-mias")
    for number in range(600)
]


def test_shares_are_nested_whole_patients_and_about_as_large_as_asked() -> None:
    parts = [{(one.source, one.name) for one in nested_share(SAMPLES, s)} for s in (0.25, 0.5, 1.0)]
    assert parts[0] < parts[1] < parts[2]
    assert len(parts[2]) == len(SAMPLES)
    for part, share in zip(parts, (0.25, 0.5), strict=False):
        assert len(part) / len(SAMPLES) == pytest.approx(share, abs=0.05)
        assert all((source, str(int(name) ^ 1)) in part for source, name in part)
    # A patient's number says nothing about the patient of another source.
    first = {name for source, name in parts[0] if source == "cdd-cesm"}
    assert first != {name for source, name in parts[0] if source == "mini-mias"}


def test_a_share_does_not_depend_on_the_split() -> None:
    kept = nested_share(SAMPLES, 0.5)
    for split in ("train", "validation", "test"):
        total = [one for one in SAMPLES if one.split == split]
        part = [one for one in kept if one.split == split]
        assert len(part) / len(total) == pytest.approx(0.5, abs=0.12)
