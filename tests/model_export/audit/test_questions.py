from dataclasses import replace

import numpy as np
import pytest

from model_export.audit.questions import ALL, LESION, ask_images, ask_tiles, make
from model_export.audit.survey import ImageSurvey
from tests.model_export.audit.looked_at import looked_at, pixels

pytestmark = pytest.mark.unit


@pytest.fixture(scope="module")
def images() -> list[ImageSurvey]:
    """Twenty patients of a set whose positives are brighter, ten of one of positives alone."""
    rng = np.random.default_rng(0)
    one = looked_at("x", pixels(0), manufacturer="A")
    both = [
        replace(
            one,
            name=str(number),
            patient=str(number),
            has_lesion=number % 2 == 0,
            split=("train", "validation")[number // 2 % 2],
            brightness=rng.normal(size=6) + 3 * (number % 2 == 0),
        )
        for number in range(20)
    ]
    positive = [
        replace(image, source="positives", has_lesion=True, split="train", manufacturer="B")
        for image in both[:10]
    ]
    return both + positive


def test_each_source_is_asked_what_it_can_answer(images: list[ImageSurvey]) -> None:
    probes = {(one.where, one.question, one.seen): one for one in ask_images(images)}
    brightness = [key[:2] for key in probes if key[2] == "brightness"]
    assert brightness == [
        ("set", LESION),
        ("set", "train or validation"),
        (ALL, LESION),
        (ALL, "train or validation"),
    ]
    assert probes["set", LESION, "brightness"].leaks
    assert not probes["set", "train or validation", "brightness"].leaks
    # All of one size and maker: nothing to see in either set, and much over both.
    assert [key for key in probes if key[2] != "brightness" and key[0] != ALL] == []
    over_both = probes[ALL, "train or validation", "rows, columns, maker"]
    assert (over_both.images, over_both.patients) == (30, 30)


def test_makers_are_told_apart(images: list[ImageSurvey]) -> None:
    unnamed = replace(images[0], manufacturer=None, shape=(300, 200))
    table = make([unnamed, images[1], images[-1]])
    np.testing.assert_array_equal(
        table, [[300, 200, 1, 0, 0], [200, 200, 0, 1, 0], [200, 200, 0, 0, 1]]
    )


def test_tiles_are_probed_by_source_and_together() -> None:
    rng = np.random.default_rng(1)
    labels = np.arange(60) % 2 == 0
    sources = ["a"] * 30 + ["b"] * 15 + ["c"] * 15
    tiles = rng.random((60, 16, 16)).astype(np.float32)
    tiles[:30] += labels[:30, None, None]
    labels[45:] = True
    probes = {
        one.where: one for one in ask_tiles(tiles, labels, sources, [str(n) for n in range(60)])
    }
    assert [where.rpartition(": ")[2] for where in probes] == ["a", "b", ALL]
    assert [one.leaks for one in probes.values()][:2] == [True, False]
    assert [one.images for one in probes.values()] == [30, 15, 60]
