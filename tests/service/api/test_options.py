import pytest

from service.api.options import parse_spacing, spacing_parameter, with_fields
from service.errors import InvalidRequest
from service.imaging.frames import MAX_FRAMES
from service.segmenter import SegmentOptions

pytestmark = pytest.mark.unit


def test_a_spacing_is_one_number_or_two_of_rows_and_columns() -> None:
    assert parse_spacing(None) is None
    assert parse_spacing("0.1") == (0.1, 0.1)
    assert parse_spacing("0.1, 0.12") == (0.1, 0.12)
    assert parse_spacing("0.01,5") == (0.01, 5.0)


@pytest.mark.parametrize("text", ["", "0", "0.009", "5.1", "0.1,", "1,1,1", "1e999", "canary"])
def test_a_spacing_out_of_bounds_is_refused_without_its_value(text: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        parse_spacing(text)
    assert caught.value.code == "invalid-parameter"
    assert caught.value.detail == "Out of bounds or malformed: pixel_spacing_mm."


def test_a_forms_fields_fill_in_what_the_query_left_open() -> None:
    fields = {"frame": "2.0", "pixel_spacing_mm": "0.1,0.2", "other": "canary"}
    filled = with_fields(SegmentOptions(), fields)
    assert (filled.frame, filled.pixel_spacing_mm) == (2, (0.1, 0.2))
    asked = SegmentOptions(frame=7, pixel_spacing_mm=(1.0, 1.0))
    assert with_fields(asked, fields) == asked
    assert with_fields(asked, {}) is asked


@pytest.mark.parametrize("frame", ["0", "-1", "1.5", "x", "", str(MAX_FRAMES + 1)])
def test_a_field_that_is_malformed_is_refused_even_if_the_query_outranks_it(frame: str) -> None:
    for options in (SegmentOptions(), SegmentOptions(frame=1)):
        with pytest.raises(InvalidRequest, match="malformed: frame"):
            with_fields(options, {"frame": frame})


def test_the_description_takes_one_number_or_two() -> None:
    schema = spacing_parameter("x")["schema"]
    assert (schema["minItems"], schema["maxItems"]) == (1, 2)
    assert (schema["items"]["minimum"], schema["items"]["maximum"]) == (0.01, 5.0)
