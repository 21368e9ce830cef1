import math

import pytest

from service.api.numbers import MAX_TEXT, parse_integer, parse_number, trimmed

pytestmark = pytest.mark.unit


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("0.1", 0.1),
        ("+.1", 0.1),
        ("1e-1", 0.1),
        ("1.", 1.0),
        (" \t7\r\n", 7.0),
        ("0.35735000000000006", 0.35735000000000006),
        ("1e999", math.inf),
    ],
)
def test_a_number_is_read_however_a_program_prints_it(text: str, value: float) -> None:
    assert parse_number(text) == value


@pytest.mark.parametrize(
    "text",
    [
        *("", " ", ".", "nan", "inf", "1_0", "0x1", "1e1000", "1,0", "٣", "\u00a01", "1 0", "-"),
        "0." + "1" * MAX_TEXT,
    ],
)
def test_what_is_no_decimal_number_is_none(text: str) -> None:
    for parse in (parse_number, parse_integer):
        with pytest.raises(ValueError, match="no decimal number"):
            parse(text)


def test_an_integer_may_be_printed_as_a_float() -> None:
    assert [parse_integer(text) for text in ("7", "+7", "7.0", "7e0", 7)] == [7] * 5
    for text in ("7.5", "1e-1", "1e999"):
        with pytest.raises(ValueError, match="no integer"):
            parse_integer(text)


def test_blanks_around_a_list_and_its_commas_do_not_count() -> None:
    assert trimmed(" a , b\t,c ") == "a,b,c"
    assert trimmed(7) == 7
