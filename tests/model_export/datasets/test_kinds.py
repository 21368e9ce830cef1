from typing import get_args

import pytest

from model_export.datasets import Annotation
from model_export.datasets.kinds import KINDS, counted, kind_name

pytestmark = pytest.mark.unit


def test_every_kind_of_annotation_has_a_name_of_its_own() -> None:
    assert set(KINDS) == set(get_args(Annotation))
    assert len(set(KINDS.values())) == len(KINDS)


def test_kinds_are_counted_the_most_frequent_first() -> None:
    assert counted(["box", "pseudo_outline", "box"]) == "box (2), pseudo-outline (1)"
    assert kind_name("none") == "none"
