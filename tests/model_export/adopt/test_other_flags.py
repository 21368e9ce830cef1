"""Which flags are tried where an answer is not right, without any net."""

from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from model_export.adopt.answers import settle
from model_export.adopt.flags import Flags
from model_export.adopt.foreign import Facts, InputRange
from model_export.adopt.other_flags import changes, said_of, typed
from model_export.adopt.sample import Sample

pytestmark = pytest.mark.unit

GREY = Facts(channels=1, outputs=1)
COLOURS = Facts(channels=3, outputs=3, class_names=("background", "mass", "calcification cluster"))
SAID = Flags(pixels="0..1", spacing_mm=0.8, activation="sigmoid")


def sample(rows: int = 300, columns: int = 230, spacing_mm: float = 0.8) -> Sample:
    mammogram: Any = SimpleNamespace(pixels=np.zeros((rows, columns), np.uint16))
    return Sample(mammogram, (spacing_mm, spacing_mm))


def advice(facts: Facts, flags: Flags, seen: Sample | None = None, **more: Any) -> list[str]:
    return [one.said for one in changes(facts, settle(facts, flags), seen or sample(), **more)]


def test_a_flag_is_said_as_it_would_be_typed() -> None:
    flags = Flags(
        pixels="0..255", spacing_mm=0.07, lesion_class=("mass", "a b"), bgr=True, mean="1,2,3"
    )
    assert typed(flags, ("lesion_class",)) == "--lesion-class mass --lesion-class 'a b'"
    assert typed(flags, ("spacing_mm", "bgr", "invert", "facing")) == "--spacing 0.07 --bgr"
    assert said_of(flags, {"mean", "pixels"}) == "--pixels 0..255 --mean 1,2,3"


def test_each_flag_that_the_files_leave_open_is_tried_otherwise() -> None:
    said = advice(GREY, SAID)
    assert {
        "say --activation none instead of --activation sigmoid",
        "add --invert",
        "add --transpose",
        "say --pixels z-score instead of --pixels 0..1",
        "add --mean 0.5 --deviation 0.5",
        "add --facing left",
        "add --tile 320x256",
        "say --spacing 1.6 instead of --spacing 0.8",
        "say --spacing 0.4 instead of --spacing 0.8",
    } <= set(said)
    assert len(said) == len(set(said))
    # One channel has no order, one class no softmax, and ImageNet three means.
    assert not any(word in "".join(said) for word in ("--bgr", "softmax", "imagenet", "0.485"))


def test_what_was_said_may_be_left_out() -> None:
    flags = replace(SAID, invert=True, transpose=True, mean="0.5", deviation="0.5", facing="left")
    said = advice(GREY, flags)
    assert {
        "leave out --invert",
        "leave out --transpose",
        "leave out --mean 0.5 --deviation 0.5",
        "leave out --facing left",
    } <= set(said)


def test_classes_are_tried_by_their_names_and_the_background_is_not() -> None:
    flags = replace(SAID, activation="softmax", lesion_class=("mass",))
    said = advice(COLOURS, flags)
    assert "say --lesion-class 'calcification cluster' instead of --lesion-class mass" in said
    both = "say --lesion-class mass --lesion-class 'calcification cluster' instead of"
    assert any(one.startswith(both) for one in said)
    assert not any("background" in one for one in said)
    nameless = replace(COLOURS, class_names=None)
    assert "say --lesion-class 2 instead of --lesion-class 1" in advice(
        nameless, replace(flags, lesion_class=("1",))
    )


def test_colours_may_be_in_another_order_where_they_are_not_alike() -> None:
    flags = replace(SAID, activation="softmax", lesion_class=("mass",))
    assert "add --bgr" not in advice(COLOURS, flags)
    assert "add --bgr" in advice(COLOURS, replace(flags, pixels="imagenet"))
    eight_bits = advice(COLOURS, replace(flags, pixels="0..255"))
    assert "add --mean 103.939,116.779,123.68" in eight_bits
    assert "add --mean 123.675,116.28,103.53 --deviation 58.395,57.12,57.375" in eight_bits


def test_nothing_is_tried_that_the_files_contradict() -> None:
    known = replace(
        GREY, pixels=InputRange("z_score"), activation="sigmoid", spacing_mm=0.8, tile=(320, 256)
    )
    said = advice(known, Flags())
    assert said == ["add --invert", "add --transpose", "add --facing left", "add --facing right"]


def test_nothing_is_tried_that_the_answer_follows() -> None:
    said = "".join(advice(GREY, SAID, follows={"pixels", "spacing_mm"}))
    assert "--pixels" not in said and "--spacing" not in said and "--invert" in said


def test_spacings_are_those_at_which_the_view_fits_the_tile_and_none_that_enlarge_it_much() -> None:
    fixed = replace(GREY, tile=(512, 512))
    seen = sample(rows=4096, columns=3328, spacing_mm=0.07)
    said = advice(fixed, replace(SAID, spacing_mm=0.2), seen)
    assert "say --spacing 0.56 instead of --spacing 0.2" in said
    assert "say --spacing 0.455 instead of --spacing 0.2" in said
    assert "say --spacing 0.07 instead of --spacing 0.2" in said
    assert "--spacing 0.05 " not in "".join(advice(GREY, SAID))
    huge = sample(rows=9000, columns=9000, spacing_mm=0.05)
    assert "--spacing 0.05 " not in "".join(advice(GREY, replace(SAID, spacing_mm=0.2), huge))


def test_what_is_served_alike_is_tried_once() -> None:
    settled = settle(GREY, replace(SAID, pixels="0..1"))
    found = changes(GREY, settled, sample())
    for index, one in enumerate(found):
        assert one.settled != settled
        assert all(one.settled != other.settled for other in found[:index])
