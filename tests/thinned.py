"""Cases that are like each other: CI runs some of them, and `make test-long` all."""

from collections.abc import Iterable
from typing import Any

import pytest


def thinned(cases: Iterable[Any], every: int, first: int = 0) -> list[Any]:
    """Return cases for `parametrize`: one in so many is run each time, the others are long.

    Parameters
    ----------
    cases
        The values of one argument.
    every
        How many cases stand for each that is run.
    first
        Which of them is run first; two tests of the same cases may so take different ones.
    """
    return [
        case if number % every == first else pytest.param(case, marks=pytest.mark.long)
        for number, case in enumerate(cases)
    ]
