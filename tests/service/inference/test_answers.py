"""What a net may answer: its outputs' shapes, probabilities, and logits that are numbers."""

import math
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest

from service.errors import ContractError, NetFailed
from service.inference.contract import Contract
from service.inference.graph_shapes import check_answer

pytestmark = pytest.mark.unit

SHAPE = (2, 1, 8, 8)
CONTRACT = cast(
    Contract,
    SimpleNamespace(
        adopted=SimpleNamespace(channels=3),
        outputs=SimpleNamespace(classes="classes", named=("map", "score", "cells", "classes")),
    ),
)


def answer() -> list[Any]:
    shapes = (SHAPE, (2, 1), (2, 1, 1, 1), (2, 3, 8, 8))
    return [np.full(shape, 0.5, np.float32) for shape in shapes]


def test_probabilities_may_miss_their_range_by_rounding() -> None:
    outputs = answer()
    outputs[0][1, 0, 7, 7], outputs[3][0, 2, 0, 0] = 1.0005, -0.0005
    outputs[1][:], outputs[2][:] = -40, 40
    check_answer(outputs, SHAPE, CONTRACT)


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf, 1.01, -0.01, 5])
@pytest.mark.parametrize("output", [0, 3])
def test_one_pixel_that_is_no_probability_fails_the_whole(output: int, bad: float) -> None:
    outputs = answer()
    outputs[output][1, 0, 3, 3] = bad
    with pytest.raises(NetFailed):
        check_answer(outputs, SHAPE, CONTRACT)


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("output", [1, 2])
def test_so_does_a_logit_that_is_no_number(output: int, bad: float) -> None:
    outputs = answer()
    outputs[output][1] = bad
    with pytest.raises(NetFailed):
        check_answer(outputs, SHAPE, CONTRACT)


@pytest.mark.parametrize("output", range(4))
def test_another_shape_breaks_the_contract(output: int) -> None:
    outputs = answer()
    outputs[output] = outputs[output][:1]
    with pytest.raises(ContractError):
        check_answer(outputs, SHAPE, CONTRACT)
