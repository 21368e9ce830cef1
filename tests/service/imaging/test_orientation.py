"""How a mammogram lies, and how it is turned upright."""

import math
from itertools import product

import numpy as np
import pytest
from pydicom.dataset import Dataset

from service.imaging.mammogram import Laterality, PatientOrientation
from service.imaging.orientation import (
    AS_STORED,
    CT,
    TOMOSYNTHESIS,
    Turn,
    image_orientation,
    of_biped,
    patient_orientation,
    upright,
)

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


S = 0.5**0.5


@pytest.mark.parametrize(
    ("cosines", "read"),
    [
        ([0, -1, 0, -1, 0, 0], ("A", "R")),
        ([0, 1, 0, 1, 0, 0], ("P", "L")),
        ([0, -1, 0, -S, 0, -S], ("A", "FR")),
        ([0, 1, 0, S, 0, -S], ("P", "FL")),
        ([0, 1, 0, -S, 0, S], ("P", "HR")),
        ([0, -1, 0, -0.87, 0, -0.5], ("A", "RF")),
        ([0, -0.999, 0.04, 0, -0.04, -0.999], ("A", "F")),
        (["0.0", "-1.0", "0.0", "-1.0", "0.0", "0.0"], ("A", "R")),
        ([0, -1, 0], None),
        ([0, 0, 0, 0, 0, 0], None),
        ([0, -1, 0, 0, -1, 0], None),
        ([0, -2, 0, -1, 0, 0], None),
        ([0, -1.04, 0, -0.96, 0, 0], ("A", "R")),
        ([0, -1.06, 0, -1, 0, 0], None),
        ([0, -1, 0, -0.94, 0, 0], None),
        ([0, -1, 0, -1, 0.04, 0], ("A", "R")),
        ([0, -1, 0, -1, 0.06, 0], None),
        (None, None),
    ],
)
def test_cosines_say_where_rows_and_columns_point(
    cosines: list[float] | None, read: PatientOrientation | None
) -> None:
    dataset = Dataset()
    dataset.SOPClassUID = TOMOSYNTHESIS
    dataset.ImageOrientationPatient = cosines
    assert image_orientation(dataset) == of_biped(dataset) == read
    dataset.SOPClassUID = CT
    assert image_orientation(dataset) == read
    dataset.PatientOrientation = ["P", "L"]
    assert of_biped(dataset) == ("P", "L")


@pytest.mark.parametrize(
    "cosines",
    [
        [1, 0, 0, 0, 1, 0],
        # What SimpleITK makes of a NIfTI file with the identity.
        [-1, 0, 0, 0, -1, 0],
        [1, 1e-7, 0, -1e-7, 1, 0],
        [0.999999, 0, 0, 0, 1, 0],
        [1, 0.04, 0, -0.04, 1, 0],
        [1, 0, 0, 0, -1, -0.0],
    ],
)
def test_a_slice_that_was_made_a_ct_states_no_plane_by_default(cosines: list[float]) -> None:
    dataset = Dataset()
    dataset.SOPClassUID = CT
    dataset.ImageOrientationPatient = cosines
    assert image_orientation(dataset) is None


@pytest.mark.parametrize("turn", EVERY)
@pytest.mark.parametrize("tilt", [0, 30, 45, 60, 90])
@pytest.mark.parametrize("side", ["L", "R"])
def test_frames_of_any_tilt_are_turned_upright(side: Laterality, tilt: int, turn: Turn) -> None:
    # From back to front, and from the breast's own side and the head down.
    sideways = -1 if side == "L" else 1
    angle = math.radians(tilt)
    along_rows: tuple[float, ...] = (0, -1, 0)
    along_columns: tuple[float, ...] = (sideways * math.cos(angle), 0, -math.sin(angle))
    if turn.upside_down:
        along_columns = tuple(-cosine for cosine in along_columns)
    if turn.mirrored:
        along_rows = tuple(-cosine for cosine in along_rows)
    stored = (along_columns, along_rows) if turn.transposed else (along_rows, along_columns)
    dataset = Dataset()
    dataset.SOPClassUID = TOMOSYNTHESIS
    dataset.ImageOrientationPatient = [*stored[0], *stored[1]]
    assert upright(of_biped(dataset), side) == turn._replace(mirrored=False)


@pytest.mark.parametrize("number", ["1.2", "1.2.1", "1", "13.1.4", "13.1.5", "7", "7.3"])
@pytest.mark.parametrize("cosines", [[1, 0, 0, 0, 1, 0], [0, -1, 0, 0, 0, -1]])
def test_other_objects_have_no_plane_in_the_patient(number: str, cosines: list[float]) -> None:
    dataset = Dataset()
    dataset.SOPClassUID = f"1.2.840.10008.5.1.4.1.1.{number}"
    dataset.ImageOrientationPatient = cosines
    assert of_biped(dataset) is None
