from typing import Any

import pytest
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence
from pydicom.sr.codedict import codes
from pydicom.sr.coding import Code

from service.imaging import anatomy
from service.imaging.anatomy import laterality, read_anatomy, view_position
from tests.dicom_files import dataset

pytestmark = pytest.mark.unit


def coded(value, scheme="SCT", **elements):
    item = Dataset()
    item.CodeValue, item.CodingSchemeDesignator = value, scheme
    for keyword, sequence in elements.items():
        setattr(item, keyword, sequence)
    return item


def test_laterality():
    assert laterality(dataset(None, ImageLaterality="R", Laterality="L"), None) == "R"
    assert laterality(dataset(None, Laterality="L"), None) == "L"
    assert laterality(dataset(None, FrameLaterality="L", Laterality="R"), None) == "L"
    assert laterality(dataset(None, ImageLaterality="B", Laterality=""), None) is None
    assert laterality(dataset(None), None) is None


@pytest.mark.parametrize(
    ("side", "directions"),
    (
        # PS3.3 C.7.6.1.1.1: each stored image in all four flips.
        ("L", (["A", "FR"], ["P", "FR"], ["A", "HL"], ["P", "HL"], ["HL", "A"], ["A", "RF"])),
        ("R", (["P", "FL"], ["A", "FL"], ["P", "HR"], ["A", "HR"], ["FL", "P"], ["P", "LF"])),
        (None, (["A", "F"], ["P", "F"], ["A", "R"], ["P", "L"], ["AF", "FP"], [])),
    ),
)
def test_the_side_of_an_oblique_view_by_its_orientation(side, directions):
    for each in directions:
        assert laterality(dataset(None, PatientOrientation=each), "MLO") == side
        assert laterality(dataset(None, PatientOrientation=each), "LMO") == side
        assert laterality(dataset(None, PatientOrientation=each), "CC") is None
        assert laterality(dataset(None, PatientOrientation=each), None) is None


def test_what_is_said_outranks_the_orientation():
    both = dataset(None, PatientOrientation=["A", "FR"], ImageLaterality="R")
    assert laterality(both, "MLO") == "R"
    animal = dataset(None, PatientOrientation=["A", "FR"], AnatomicalOrientationType="QUADRUPED")
    assert laterality(animal, "MLO") is None


@pytest.mark.parametrize("flip", ("YES", "NO"))
@pytest.mark.parametrize("rotation", (0, 90, 180, 270))
def test_how_the_detector_was_turned_changes_nothing(flip, rotation):
    elements: dict[str, Any] = {
        "ImageLaterality": "L",
        "ViewPosition": "CC",
        "PatientOrientation": ["P", "R"],
    }
    turned = dataset(None, FieldOfViewHorizontalFlip=flip, FieldOfViewRotation=rotation, **elements)
    assert (
        read_anatomy(turned)
        == read_anatomy(dataset(None, **elements))
        == (
            *("L", "CC", ("P", "R")),
            (),
        )
    )


VIEWS = (
    ("CranioCaudal", "CC"),
    ("MedioLateralObliqueProjection", "MLO"),
    ("MedioLateralProjection", "ML"),
    ("LateroMedial", "LM"),
    ("LateroMedialOblique", "LMO"),
    ("CaudoCranial", "FB"),
    ("SuperolateralToInferomedialOblique", "SIO"),
    ("InferomedialToSuperolateralOblique", "ISO"),
    ("CranioCaudalExaggeratedLaterally", "XCCL"),
    ("CranioCaudalExaggeratedMedially", "XCCM"),
)


@pytest.mark.parametrize(("name", "view"), VIEWS)
def test_view_codes_are_those_of_the_standard(name, view):
    code = getattr(codes.CID4014, name)
    item = dataset(None, ViewCodeSequence=Sequence([coded(code.value)]), ViewPosition="CC")
    assert view_position(item) == view
    older = [value for value, at in anatomy._VIEWS.items() if at == view and "-" in value]
    assert [Code(value, "SRT", "") == code for value in older] == [True]


def test_view_position():
    unknown = Sequence([coded("0-0")])
    assert view_position(dataset(None, ViewCodeSequence=unknown, ViewPosition="ML")) == "ML"
    assert view_position(dataset(None, PatientOrientation="MLO")) == "MLO"
    assert view_position(dataset(None, PatientOrientation=["A", "F"])) is None
    assert view_position(dataset(None, ViewPosition="Canary")) is None
    assert view_position(dataset(None)) is None


@pytest.mark.parametrize(
    ("elements", "codes_said"),
    (
        ({"BurnedInAnnotation": "NO", "BreastImplantPresent": "NO"}, []),
        ({"BurnedInAnnotation": "YES"}, ["burned-in-annotation"]),
        ({"BreastImplantPresent": "YES"}, ["implant"]),
        ({"PartialView": "YES"}, ["partial-view"]),
        ({"EstimatedRadiographicMagnificationFactor": 1.8}, ["special-view"]),
        ({"EstimatedRadiographicMagnificationFactor": 1.07}, []),
        ({"EstimatedRadiographicMagnificationFactor": 650}, []),
        ({"DistanceSourceToDetector": 660, "DistanceSourceToPatient": 366.7}, ["special-view"]),
        ({"DistanceSourceToDetector": 660, "DistanceSourceToPatient": 633}, []),
        ({"DistanceSourceToDetector": 660, "DistanceSourceToPatient": 1}, []),
        (
            {"BurnedInAnnotation": "YES", "PartialView": "YES"},
            ["burned-in-annotation", "partial-view"],
        ),
    ),
)
def test_oddities_become_caveats(elements, codes_said):
    assert [caveat.code for caveat in read_anatomy(dataset(None, **elements)).caveats] == codes_said


UNREMARKABLE = {"NippleInProfile": [], "ImplantDisplaced": ["implant"]}


@pytest.mark.parametrize("name", codes.CID4015.dir())
def test_view_modifiers_become_caveats(name):
    code = getattr(codes.CID4015, name)
    modifier = Sequence([coded(code.value)])
    view = coded(codes.CID4014.CranioCaudal.value, ViewModifierCodeSequence=modifier)
    said = read_anatomy(dataset(None, ViewCodeSequence=Sequence([view]))).caveats
    assert [caveat.code for caveat in said] == UNREMARKABLE.get(name, ["special-view"])
    older = [value for value in anatomy._SPECIAL_MODIFIERS if Code(value, "SRT", "") == code]
    assert len(set(older) - {code.value}) == (0 if name in UNREMARKABLE else 1)


def test_a_specimen_is_no_screening_view():
    specimen = Sequence([coded(codes.CID4014.TissueSpecimenFromBreast.value)])
    said = read_anatomy(dataset(None, ViewCodeSequence=specimen))
    assert said.view_position is None
    assert [caveat.code for caveat in said.caveats] == ["special-view"]
