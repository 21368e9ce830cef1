from functools import partial

import pytest

from model_export.evaluation.extremes import Extremes

pytestmark = pytest.mark.unit


def test_the_highest_are_kept_and_of_equal_ones_the_earlier() -> None:
    kept = Extremes[str, str]()
    for name, rank in (("a", 1.0), ("b", 3.0), ("c", 3.0), ("d", 2.0), ("e", 3.0)):
        kept.offer(("source", "kind"), rank, 3, partial(str, name))
    assert list(kept.ranked()) == [(("source", "kind"), ["b", "c", "e"])]


def test_what_is_not_kept_is_never_made() -> None:
    kept, to_make = Extremes[str, int](), [1]
    for rank in (3.0, 1.0, 2.0, 3.0):
        kept.offer(("source", "kind"), rank, 1, to_make.pop)
    assert list(kept.ranked()) == [(("source", "kind"), [1])]


def test_sources_and_kinds_are_kept_apart_in_their_order() -> None:
    kept = Extremes[str, int]()
    for number, key in enumerate((("b", "best"), ("a", "worst"), ("a", "best"))):
        kept.offer(key, 0.0, 1, [number].pop)
    assert [key for key, _ in kept.ranked()] == [("a", "best"), ("a", "worst"), ("b", "best")]
