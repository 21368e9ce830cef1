"""How a mammogram lies, and how it is turned upright."""

from itertools import product

import numpy as np
import pytest
from pydicom.dataset import Dataset

from service.imaging.mammogram import Laterality, PatientOrientation
from service.imaging.orientation import AS_STORED, Turn, of_biped, patient_orientation, upright

pytestmark = pytest.mark.unit

MLO: dict[Laterality, PatientOrientation] = {"L": ("A", "FR"), "R": ("P", "FL")}
CC: dict[Laterality, PatientOrientation] = {"L": ("A", "R"), "R": ("P", "L")}
EVERY = [Turn(*flags) for flags in product((False, True), repeat=3)]
OPPOSITE = str.maketrans("APFHLR", "PAHFRL")


def stored(orientation: PatientOrientation, turn: Turn) -> PatientOrientation:
    """Say where rows and columns point once an image is stored so that `turn` brings it back."""
    along_rows, along_columns = orientation
    along_columns = along_columns.translate(OPPOSITE) if turn.upside_down else along_columns
    along_rows = along_rows.translate(OPPOSITE) if turn.mirrored else along_rows
    return (along_columns, along_rows) if turn.transposed else (along_rows, along_columns)


@pytest.mark.parametrize("turn", EVERY)
def test_a_turn_is_undone_and_is_of_the_last_two_axes(turn: Turn) -> None:
    values = np.arange(24).reshape(2, 3, 4)
    there = turn.apply(values)
    assert there.shape == ((2, 4, 3) if turn.transposed else (2, 3, 4))
    np.testing.assert_array_equal(turn.undo(there), values)
    np.testing.assert_array_equal(turn.apply(values[1]), there[1])
    assert there.flags.c_contiguous


@pytest.mark.parametrize("turn", EVERY)
@pytest.mark.parametrize("side", ["L", "R"])
def test_every_way_to_store_a_view_is_turned_upright_but_not_mirrored(
    side: Laterality, turn: Turn
) -> None:
    for view in (MLO, CC):
        lies = stored(view[side], turn)
        assert upright(lies, side) == turn._replace(mirrored=False)


def test_without_a_side_a_craniocaudal_view_stays_as_it_is_and_others_do_not() -> None:
    assert upright(("A", "L"), None) == AS_STORED
    assert upright(("A", "HL"), None) == Turn(upside_down=True)
    assert upright(("HL", "P"), None) == Turn(transposed=True, upside_down=True)


@pytest.mark.parametrize("odd", [None, ("L", "F"), ("A", "P"), ("F", "H"), ("P", "A")])
def test_what_no_mammogram_says_turns_nothing(odd: PatientOrientation | None) -> None:
    assert upright(odd, "L") == AS_STORED


@pytest.mark.parametrize(
    ("said", "read"),
    [
        (["A", "FR"], ("A", "FR")),
        ("CC", None),
        (["A"], None),
        (["A", "AP"], None),
        (["A", "X"], None),
        (["A", "FF"], None),
    ],
)
def test_two_directions_are_read_and_nothing_else(
    said: str | list[str], read: PatientOrientation | None
) -> None:
    dataset = Dataset()
    dataset.PatientOrientation = said
    assert patient_orientation(dataset) == of_biped(dataset) == read
    dataset.AnatomicalOrientationType = "QUADRUPED"
    assert of_biped(dataset) is None
