"""The presentation state: outlines, and the source's own grey values."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence

from service.findings import NOT_FOUND, SEVERAL
from service.outputs.dicom.outline import outline, shown_regions
from service.outputs.dicom.registry import dicom_result
from tests.findings_by_hand import SHAPE, findings_by_hand
from tests.mammogram_headers import VENDORS, full_header

pytestmark = pytest.mark.unit


def state_of(**elements: Any) -> Dataset:
    return dicom_result("gsps", findings_by_hand(), full_header(**elements))


def lut(first: int, entries: list[int], bits: int) -> Sequence:
    item = Dataset()
    item.add_new("LUTDescriptor", "US", [len(entries), first, bits])
    item.add_new("LUTData", "US", entries)
    return Sequence([item])


def test_outlines_and_labels_are_those_of_the_regions() -> None:
    findings = findings_by_hand()
    annotation = dicom_result("gsps", findings, full_header()).GraphicAnnotationSequence[0]
    drawn = annotation.GraphicObjectSequence
    assert len(drawn) == 2
    for item, region in zip(drawn, shown_regions(findings), strict=True):
        assert (item.GraphicType, item.GraphicAnnotationUnits) == ("POLYLINE", "PIXEL")
        np.testing.assert_allclose(
            np.array(item.GraphicData).reshape(-1, 2), outline(region), atol=1e-4
        )
    words = [item.UnformattedTextValue for item in annotation.TextObjectSequence]
    assert words == ["AI, research use only", "1: 93 %", "2: 75 %"]


def test_without_a_finding_only_the_words_are_left() -> None:
    state = dicom_result("gsps", findings_by_hand(score=0.1), full_header())
    annotation = state.GraphicAnnotationSequence[0]
    assert "GraphicObjectSequence" not in annotation
    words = [item.UnformattedTextValue for item in annotation.TextObjectSequence]
    assert words == ["AI, research use only; no lesion found"]


def test_warnings_are_named_beside_the_words() -> None:
    findings = replace(findings_by_hand(score=0.1), caveats=(SEVERAL, NOT_FOUND))
    state = dicom_result("gsps", findings, full_header())
    (words,) = state.GraphicAnnotationSequence[0].TextObjectSequence
    assert words.UnformattedTextValue == (
        "AI, research use only; no lesion found; warnings: several-breasts, breast-not-found"
    )


def test_the_whole_image_is_shown_at_its_own_pixel_size() -> None:
    area = state_of().DisplayedAreaSelectionSequence[0]
    assert list(area.DisplayedAreaTopLeftHandCorner) == [1, 1]
    assert list(area.DisplayedAreaBottomRightHandCorner) == [SHAPE[1], SHAPE[0]]
    assert [float(value) for value in area.PresentationPixelSpacing] == [0.1, 0.1]


@pytest.mark.parametrize(("aspect", "ratio"), [(1.0, [1, 1]), (1.5, [3, 2])])
def test_without_a_spacing_it_is_shown_in_the_pixels_shape(aspect: float, ratio: list[int]) -> None:
    findings = findings_by_hand(pixel_spacing_mm=None, pixel_aspect=aspect)
    area = dicom_result("gsps", findings, full_header()).DisplayedAreaSelectionSequence[0]
    assert list(area.PresentationPixelAspectRatio) == ratio
    assert "PresentationPixelSpacing" not in area


def test_the_first_window_is_taken_over_with_its_function() -> None:
    voi = state_of(
        WindowCenter=[2300, 2100], WindowWidth=[900, 700], VOILUTFunction="LINEAR_EXACT"
    ).SoftcopyVOILUTSequence[0]
    assert (voi.WindowCenter, voi.WindowWidth, voi.VOILUTFunction) == (2300, 900, "LINEAR_EXACT")


@pytest.mark.parametrize(("bits", "stated"), [(12, 4096), (16, 0)])
def test_a_sigmoid_window_is_written_out_as_a_table(bits: int, stated: int) -> None:
    """Some viewers of presentation states take every window for a linear one."""
    voi = state_of(**VENDORS["ge"], BitsStored=bits, HighBit=bits - 1).SoftcopyVOILUTSequence[0]
    (item,) = voi.VOILUTSequence
    assert "WindowCenter" not in voi
    assert list(item.LUTDescriptor) == [stated, 0, 16]
    data = np.frombuffer(item.LUTData, "<u2") / 65535
    wanted = 1 / (1 + np.exp(-4 * (np.arange(1 << bits) - 2300) / 900))
    np.testing.assert_allclose(data, wanted, atol=1e-5)


@pytest.mark.parametrize(
    ("elements", "first", "applied"),
    [
        ({"RescaleSlope": 2, "RescaleIntercept": -1000}, 0, lambda values: 2 * values - 1000),
        ({"PixelRepresentation": 1}, -2048, lambda values: values),
        (
            {"PixelRepresentation": 1, "RescaleSlope": 0.5, "RescaleIntercept": 2048},
            -2048,
            lambda values: 0.5 * values + 2048,
        ),
        (
            {"ModalityLUTSequence": lut(0, list(range(4095, -1, -1)), 12)},
            0,
            lambda values: 4095 - values,
        ),
    ],
    ids=["a rescale", "signed pixels", "both", "a Modality LUT"],
)
def test_the_table_of_a_sigmoid_window_holds_what_it_is_applied_to(
    elements: dict[str, Any], first: int, applied: Callable[[Any], Any]
) -> None:
    state = state_of(**VENDORS["ge"] | {"BitsStored": 12, "HighBit": 11} | elements)
    assert "RescaleSlope" not in state and "ModalityLUTSequence" not in state
    (item,) = state.SoftcopyVOILUTSequence[0].VOILUTSequence
    assert list(item.LUTDescriptor) == [4096, first, 16]
    assert (item["LUTDescriptor"].VR == "SS") is (first < 0)
    values = applied(np.arange(first, first + 4096))
    wanted = 1 / (1 + np.exp(-4 * (values - 2300) / 900))
    np.testing.assert_allclose(np.frombuffer(item.LUTData, "<u2") / 65535, wanted, atol=1e-5)


@pytest.mark.parametrize(("count", "stated"), [(3, 3), (40_000, -25_536), (65_536, 0)])
def test_a_table_that_begins_below_zero_is_taken_over(count: int, stated: int) -> None:
    entries = [0, *range(1, count - 1), 65535][:count]
    for keyword in ("VOILUTSequence", "ModalityLUTSequence"):
        table = lut(0, entries, 16)
        table[0].add_new("LUTDescriptor", "SS", [stated, -2048, 16])
        state = state_of(PixelRepresentation=1, **{keyword: table})
        voi = state.SoftcopyVOILUTSequence[0]
        (item,) = (voi if keyword == "VOILUTSequence" else state)[keyword].value
        assert item["LUTDescriptor"].VR == "SS"
        assert list(item.LUTDescriptor) == [stated, -2048, 16]
        assert np.frombuffer(item.LUTData, "<u2").tolist() == entries


def test_a_lut_outranks_the_window_and_keeps_its_shape() -> None:
    state = state_of(VOILUTSequence=lut(10, [0, 100, 1023], 10))
    (voi,) = state.SoftcopyVOILUTSequence
    (item,) = voi.VOILUTSequence
    assert list(item.LUTDescriptor) == [3, 10, 16]
    data = (
        item.LUTData if isinstance(item.LUTData, bytes) else np.array(item.LUTData, "<u2").tobytes()
    )
    np.testing.assert_allclose(
        np.frombuffer(data, "<u2") / 65535, np.array([0, 100, 1023]) / 1023, atol=1e-4
    )
    assert "WindowCenter" not in voi


@pytest.mark.parametrize(
    "elements",
    [
        {"WindowCenter": None, "WindowWidth": None},
        {"WindowWidth": 0},
        {"WindowWidth": [10, 20]},
        {"VOILUTFunction": "SMOOTH"},
        {"WindowCenter": None, "WindowWidth": None, "VOILUTSequence": lut(0, [0, 0], 8)},
    ],
)
def test_what_is_broken_is_left_out(elements: dict[str, object]) -> None:
    assert "SoftcopyVOILUTSequence" not in state_of(**elements)


@pytest.mark.parametrize(
    ("photometric", "shape"), [("MONOCHROME1", "INVERSE"), ("MONOCHROME2", "IDENTITY")]
)
def test_polarity_is_said_by_the_presentation_lut(photometric: str, shape: str) -> None:
    assert state_of(PhotometricInterpretation=photometric).PresentationLUTShape == shape


def test_a_rescale_is_taken_over_and_identity_left_out() -> None:
    state = state_of(RescaleSlope=2, RescaleIntercept=-1024)
    assert (state.RescaleSlope, state.RescaleIntercept) == (2, -1024)
    assert "RescaleSlope" not in state_of()
    table = state_of(ModalityLUTSequence=lut(0, [5, 6, 7], 16)).ModalityLUTSequence[0]
    assert list(table.LUTDescriptor) == [3, 0, 16]
    assert "RescaleSlope" not in state_of(ModalityLUTSequence=lut(0, [5, 6, 7], 16))
