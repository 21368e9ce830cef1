from dataclasses import replace

import pytest

from model_export.audit import THRESHOLD, duplicates
from model_export.audit.duplicates import closest, shared_patients
from tests.model_export.audit.looked_at import looked_at, pixels

pytestmark = pytest.mark.unit


def test_a_copy_is_found_whatever_chunk_it_is_in(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(duplicates, "CHUNK", 2)
    images = [looked_at(str(seed), pixels(seed)) for seed in range(5)]
    copy = replace(images[3], name="copy")
    pairs = closest([*images, copy], THRESHOLD)
    assert [(pair.first.name, pair.second.name) for pair in pairs] == [("3", "copy")]
    assert pairs[0].distance == pytest.approx(0, abs=1e-6)
    assert len(closest([*images, copy], 2.1)) == 15  # all pairs, each once
    assert closest([], THRESHOLD) == []


def test_the_closest_pair_comes_first() -> None:
    image = pixels(2)
    near = image.copy()
    near[80:120, 150:190] = 0
    images = [looked_at("near", near), looked_at("a", image), looked_at("b", image)]
    assert [pair.first.name for pair in closest(images, 1.0)] == ["a", "near", "near"]


def test_a_pair_knows_what_is_wrong_with_it() -> None:
    one = looked_at("a", pixels(1), has_lesion=True, patient="p")
    other = looked_at("b", pixels(1), patient="p")
    (pair,) = closest([one, other], THRESHOLD)
    assert pair.contradictory and pair.same_patient and not pair.across_splits
    elsewhere = replace(other, source="another set", split="test", has_lesion=True)
    (pair,) = closest([one, elsewhere], THRESHOLD)
    assert pair.across_splits and not pair.same_patient and not pair.contradictory


def test_a_patient_on_two_sides_is_found_under_two_spellings() -> None:
    image = looked_at("a", pixels(0), patient="P1")
    others = [
        replace(image, patient="p1 ", split="test"),
        replace(image, patient="P2"),
        replace(image, source="another set", split="validation"),
    ]
    assert shared_patients([image, *others]) == {("set", "p1"): {"train", "test"}}
    assert shared_patients(others) == {}
