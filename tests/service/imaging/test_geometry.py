import numpy as np
import pytest
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence
from pydicom.sr.codedict import codes
from pydicom.sr.coding import Code

from service.imaging import geometry
from service.imaging.geometry import (
    intent,
    laterality,
    pixel_spacing,
    read_geometry,
    spacing_or_assumed,
    view_position,
)
from service.imaging.mammogram import Mammogram
from tests.dicom_files import MAMMOGRAPHY_FOR_PRESENTATION, dataset

pytestmark = pytest.mark.unit

FOR_PROCESSING = "1.2.840.10008.5.1.4.1.1.1.2.1"
SECONDARY_CAPTURE = "1.2.840.10008.5.1.4.1.1.7"


def coded(value, scheme="SCT", **elements):
    item = Dataset()
    item.CodeValue, item.CodingSchemeDesignator = value, scheme
    for keyword, sequence in elements.items():
        setattr(item, keyword, sequence)
    return item


@pytest.mark.parametrize(
    ("elements", "spacing", "caveats"),
    (
        ({}, None, []),
        ({"ImagerPixelSpacing": [0.1, 0.07]}, (0.1, 0.07), []),
        (
            {"ImagerPixelSpacing": [0.1, 0.1], "EstimatedRadiographicMagnificationFactor": 1.25},
            (0.08, 0.08),
            [],
        ),
        (
            {"ImagerPixelSpacing": [0.1, 0.1], "EstimatedRadiographicMagnificationFactor": 0.2},
            (0.1, 0.1),
            [],
        ),
        (
            {
                "ImagerPixelSpacing": [0.1, 0.1],
                "PixelSpacing": [0.1, 0.1],
                "EstimatedRadiographicMagnificationFactor": 1.25,
            },
            (0.08, 0.08),
            [],
        ),
        ({"ImagerPixelSpacing": [0.1, 0.1], "PixelSpacing": [0.09, 0.09]}, (0.09, 0.09), []),
        (
            {"PixelSpacing": [0.09, 0.09], "PixelSpacingCalibrationType": "FIDUCIAL"},
            (0.09, 0.09),
            [],
        ),
        ({"PixelSpacing": [0.09, 0.09]}, (0.09, 0.09), ["spacing-uncalibrated"]),
        ({"NominalScannedPixelSpacing": [0.05, 0.05]}, (0.05, 0.05), []),
        ({"ImagerPixelSpacing": [100, 100]}, None, ["spacing-ignored"]),
        ({"ImagerPixelSpacing": [0, 0]}, None, ["spacing-ignored"]),
        ({"ImagerPixelSpacing": [-0.1, 0.1]}, None, ["spacing-ignored"]),
        ({"ImagerPixelSpacing": 0.1}, None, ["spacing-ignored"]),
        ({"ImagerPixelSpacing": ""}, None, []),
        (
            {"PixelSpacing": [1000, 1000], "ImagerPixelSpacing": [0.1, 0.1]},
            (0.1, 0.1),
            ["spacing-ignored"],
        ),
    ),
)
def test_pixel_spacing(elements, spacing, caveats):
    found, said = pixel_spacing(dataset(None, **elements))
    assert found == pytest.approx(spacing)
    assert [caveat.code for caveat in said] == caveats


def test_laterality():
    assert laterality(dataset(None, ImageLaterality="R", Laterality="L")) == "R"
    assert laterality(dataset(None, Laterality="L")) == "L"
    assert laterality(dataset(None, ImageLaterality="B", Laterality="")) is None
    assert laterality(dataset(None)) is None


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
    older = [value for value, at in geometry._VIEWS.items() if at == view and "-" in value]
    assert [Code(value, "SRT", "") == code for value in older] == [True]


def test_view_position():
    unknown = Sequence([coded("0-0")])
    assert view_position(dataset(None, ViewCodeSequence=unknown, ViewPosition="ML")) == "ML"
    assert view_position(dataset(None, PatientOrientation="MLO")) == "MLO"
    assert view_position(dataset(None, PatientOrientation=["A", "F"])) is None
    assert view_position(dataset(None, ViewPosition="Canary")) is None
    assert view_position(dataset(None)) is None


@pytest.mark.parametrize(
    ("elements", "kind"),
    (
        ({}, "presentation"),
        ({"PresentationIntentType": None}, "presentation"),
        ({"SOPClassUID": None}, "presentation"),
        ({"SOPClassUID": FOR_PROCESSING}, "processing"),
        ({"SOPClassUID": FOR_PROCESSING, "PresentationIntentType": None}, "processing"),
        ({"SOPClassUID": None, "PresentationIntentType": "FOR PROCESSING"}, "processing"),
        ({"PresentationIntentType": "FOR PROCESSING"}, "presentation"),
        ({"SOPClassUID": SECONDARY_CAPTURE, "PresentationIntentType": None}, "film"),
        ({"SOPClassUID": None, "PresentationIntentType": None, "ConversionType": "DF"}, "film"),
        ({"SOPClassUID": None, "PresentationIntentType": None, "ConversionType": "WSD"}, "film"),
        ({"SOPClassUID": None, "PresentationIntentType": None}, "unstated"),
        ({"SOPClassUID": "1.2.3", "PresentationIntentType": ""}, "unstated"),
    ),
)
def test_intent(elements, kind):
    assert intent(dataset(None, **elements)) == kind
    assert MAMMOGRAPHY_FOR_PRESENTATION != FOR_PROCESSING


@pytest.mark.parametrize(
    ("elements", "codes_said"),
    (
        ({"BurnedInAnnotation": "NO", "BreastImplantPresent": "NO"}, []),
        ({"BurnedInAnnotation": "YES"}, ["burned-in-annotation"]),
        ({"BreastImplantPresent": "YES"}, ["implant"]),
    ),
)
def test_oddities_become_caveats(elements, codes_said):
    assert [
        caveat.code for caveat in read_geometry(dataset(None, **elements)).caveats
    ] == codes_said


@pytest.mark.parametrize("name", ("SpotCompression", "Magnification", "Tangential"))
def test_special_views_become_caveats(name):
    modifier = Sequence([coded(getattr(codes.CID4015, name).value)])
    view = coded(codes.CID4014.CranioCaudal.value, ViewModifierCodeSequence=modifier)
    said = read_geometry(dataset(None, ViewCodeSequence=Sequence([view]))).caveats
    assert [caveat.code for caveat in said] == ["special-view"]


def test_spacing_or_assumed():
    pixels = np.zeros((480, 200), np.uint16)
    assert spacing_or_assumed(Mammogram(pixels, (0.1, 0.07)), 240.0) == ((0.1, 0.07), False)
    assert spacing_or_assumed(Mammogram(pixels, None), 240.0) == ((0.5, 0.5), True)
    assert spacing_or_assumed(Mammogram(pixels.T, None), 240.0) == ((0.5, 0.5), True)
