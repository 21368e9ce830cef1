import numpy as np
import pytest

from service.imaging.mammogram import Caveat, Mammogram
from service.imaging.pixel_size import (
    magnification,
    pixel_aspect,
    pixel_spacing,
    read_pixel_size,
    spacing_or_assumed,
    with_given_spacing,
)
from tests.dicom_files import dataset

pytestmark = pytest.mark.unit


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


@pytest.mark.parametrize(
    ("factor", "detector", "patient", "magnified"),
    (
        (None, 660, 366.7, 1.7998),
        (1.0, 660, 366.7, 1.7998),
        ("", 660, 366.7, 1.7998),
        (0.2, 660, 366.7, 1.7998),
        (650, 660, 366.7, 1.7998),
        (1.5, 660, 366.7, 1.5),
        (None, 660, 633, 1.0427),
        (1.04, 660, 633, 1.04),
        (1.05, None, None, 1.05),
        (None, 660, 660, 1.0),
        (None, 633, 660, 1.0),
        (None, 660, 100, 1.0),
        (None, 660, 0, 1.0),
        (None, 0, 0, 1.0),
        (None, -660, -366.7, 1.0),
        (None, 660, None, 1.0),
        (None, None, 366.7, 1.0),
        (None, "", "", 1.0),
        (None, [660, 650], 366.7, 1.0),
        (None, None, None, 1.0),
    ),
)
def test_magnification_is_the_ratio_of_two_distances(factor, detector, patient, magnified):
    header = dataset(
        None,
        ImagerPixelSpacing=[0.1, 0.07],
        EstimatedRadiographicMagnificationFactor=factor,
        DistanceSourceToDetector=detector,
        DistanceSourceToPatient=patient,
    )
    assert magnification(header) == pytest.approx(magnified, abs=1e-4)
    spacing, said = pixel_spacing(header)
    assert spacing == pytest.approx((0.1 / magnified, 0.07 / magnified), abs=1e-5)
    assert said == ()
    header.PixelSpacing = [0.1, 0.07]
    assert pixel_spacing(header)[0] == spacing
    header.PixelSpacingCalibrationType = "GEOMETRY"
    assert pixel_spacing(header)[0] == (0.1, 0.07)


@pytest.mark.parametrize(
    ("elements", "aspect", "caveats"),
    (
        ({}, 1.0, []),
        ({"PixelAspectRatio": [2, 1]}, 2.0, []),
        ({"PixelAspectRatio": [3, 4]}, 0.75, []),
        ({"PixelAspectRatio": ""}, 1.0, []),
        ({"PixelAspectRatio": [0, 1]}, 1.0, ["pixel-aspect-ignored"]),
        ({"PixelAspectRatio": [1, 0]}, 1.0, ["pixel-aspect-ignored"]),
        ({"PixelAspectRatio": [-1, -1]}, 1.0, ["pixel-aspect-ignored"]),
        ({"PixelAspectRatio": [9, 1]}, 1.0, ["pixel-aspect-ignored"]),
        ({"PixelAspectRatio": [1, 9]}, 1.0, ["pixel-aspect-ignored"]),
        ({"PixelAspectRatio": 2}, 1.0, ["pixel-aspect-ignored"]),
    ),
)
def test_pixel_aspect(elements, aspect, caveats):
    found, said = pixel_aspect(dataset(None, **elements))
    assert found == pytest.approx(aspect)
    assert [caveat.code for caveat in said] == caveats


def test_a_spacing_outranks_the_aspect_ratio():
    both = dataset(None, ImagerPixelSpacing=[0.1, 0.1], PixelAspectRatio=[0, 1])
    assert read_pixel_size(both) == ((0.1, 0.1), 1.0, ())
    assert read_pixel_size(dataset(None, PixelAspectRatio=[2, 1])) == (None, 2.0, ())


@pytest.mark.parametrize(
    ("elements", "codes"),
    (
        ({}, []),
        ({"PixelSpacing": [0.2, 0.2]}, ["spacing-overridden"]),
        ({"ImagerPixelSpacing": [0.1, 0.2]}, ["spacing-overridden"]),
        ({"PixelSpacing": [0.1, 0.1]}, []),
        ({"PixelSpacing": [0.10005, 0.1]}, []),
        ({"PixelSpacing": [99, 99]}, []),
        ({"PixelAspectRatio": [99, 1]}, []),
    ),
)
def test_a_given_spacing_is_told_where_the_image_states_another(elements, codes):
    spacing, aspect, caveats = read_pixel_size(dataset(None, **elements))
    other = Caveat("several-breasts", "")
    read = Mammogram(
        np.zeros((4, 4), np.uint16), spacing, pixel_aspect=aspect, caveats=(*caveats, other)
    )
    given = with_given_spacing(read, (0.1, 0.1))
    assert given.pixel_spacing_mm == (0.1, 0.1)
    assert [caveat.code for caveat in given.caveats] == ["several-breasts", *codes]


def test_spacing_or_assumed():
    pixels = np.zeros((480, 200), np.uint16)
    assert spacing_or_assumed(Mammogram(pixels, (0.1, 0.07)), 240.0) == ((0.1, 0.07), False)
    assert spacing_or_assumed(Mammogram(pixels, None), 240.0) == ((0.5, 0.5), True)
    assert spacing_or_assumed(Mammogram(pixels.T, None), 240.0) == ((0.5, 0.5), True)


@pytest.mark.parametrize(
    ("shape", "aspect", "spacing"),
    (
        ((480, 200), 2.0, (0.5, 0.25)),
        ((480, 200), 0.5, (0.5, 1.0)),
        ((100, 480), 2.0, (1.0, 0.5)),
        ((100, 120), 2.0, (2.4, 1.2)),
    ),
)
def test_the_assumed_spacing_keeps_the_shape_of_a_pixel(shape, aspect, spacing):
    mammogram = Mammogram(np.zeros(shape, np.uint16), None, pixel_aspect=aspect)
    found, assumed = spacing_or_assumed(mammogram, 240.0)
    assert (found, assumed) == (pytest.approx(spacing), True)
    assert max(shape[0] * found[0], shape[1] * found[1]) == pytest.approx(240.0)
