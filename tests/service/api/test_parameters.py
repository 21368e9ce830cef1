"""Every parameter of a query and every field of a form, as programs print them."""

from urllib.parse import quote

import pytest
from fastapi.testclient import TestClient

from service.api.numbers import parse_integer, parse_number

pytestmark = pytest.mark.integration

URL = "/v1/segment"

NUMBERS = {
    "0.35735000000000006": 0.35735,
    "1e-1": 0.1,
    "1E-01": 0.1,
    "+0.1": 0.1,
    ".1": 0.1,
    "1.": 1.0,
    "0.1000000000": 0.1,
    "00.5": 0.5,
    " 0.1 ": 0.1,
    "0.1\r\n": 0.1,
    "0.005e1": 0.05,
    "5.000000000000000000": 5.0,
}
PAIRS = {"0.1,0.2": (0.1, 0.2), " 0.1 , 0.2 ": (0.1, 0.2), "1e-1,+2e-1": (0.1, 0.2)}
NO_SPACING = (
    *("", " ", "x", "nan", "inf", "-inf", "infinity", "0x1p-3", "1_0", "1'0", "٣", "\uff11"),
    *("0", "-0.1", "0.0099999", "5.0000001", "1e400", "1e-400", "1e9999", "0.1,", ",0.1"),
    *("1,2,3", "1 2", "0.1;0.2", "0,1", "1\0", "--1", "1e", "e1", ".", "+", "1" * 65),
    "0." + "1" * 5000,
)


def spacing_of(answer: object) -> tuple[float, float]:
    result = answer.json()  # type: ignore[attr-defined]
    assert answer.status_code == 200, result  # type: ignore[attr-defined]
    first, second = result["image"]["pixel_spacing_mm"]
    return first, second


@pytest.mark.parametrize("text", [*NUMBERS, *PAIRS])
def test_spacing_is_a_number_however_it_is_printed(
    client: TestClient, phantom_png: bytes, text: str
) -> None:
    number = NUMBERS.get(text)
    expected = PAIRS[text] if number is None else (number, number)
    # So that this small image is as large as a breast.
    if min(expected) < 0.3:
        assert parse_number(text.split(",")[0]) == expected[0]
    in_query = client.post(URL, content=phantom_png, params={"pixel_spacing_mm": text})
    in_form = client.post(URL, files={"f": phantom_png}, data={"pixel_spacing_mm": text})
    for answer in (in_query, in_form):
        if answer.status_code == 200:
            assert spacing_of(answer) == pytest.approx(expected)
        else:
            assert answer.json()["code"] == "size-implausible"


@pytest.mark.parametrize("text", NO_SPACING)
@pytest.mark.parametrize("route", ["segment", "studies"])
def test_what_is_no_spacing_is_refused(
    client: TestClient, phantom_png: bytes, text: str, route: str
) -> None:
    url = f"/v1/{route}"
    answers = [
        client.post(f"{url}?pixel_spacing_mm={quote(text)}", files={"f": phantom_png}),
        client.post(url, files={"f": phantom_png}, data={"pixel_spacing_mm": text}),
    ]
    for answer in answers:
        assert (answer.status_code, answer.json()["code"]) == (400, "invalid-parameter")
        assert "pixel_spacing_mm" in answer.json()["detail"]


@pytest.mark.parametrize("route", ["segment", "studies"])
@pytest.mark.parametrize("values", [["0.05", "0.1"], ["1", "1"], ["1,1", "1"]])
def test_a_spacing_for_each_of_several_files_is_refused(
    client: TestClient, phantom_png: bytes, route: str, values: list[str]
) -> None:
    count = 2 if route == "studies" else 1
    files = [("f", (f"{number}.png", phantom_png)) for number in range(count)]
    answers = [
        client.post(f"/v1/{route}", files=files, data={"pixel_spacing_mm": values}),
        client.post(f"/v1/{route}", files=files, params={"pixel_spacing_mm": values}),
    ]
    for answer in answers:
        assert (answer.status_code, answer.json()["code"]) == (400, "invalid-parameter")
        assert answer.json()["detail"] == "Said more than once: pixel_spacing_mm."


SCALARS = {
    "max_side": (["64", "+64", "64.0", "6.4e1", " 64", "064"], ["63", "4097", "64.5", "", "1e9"]),
    "frame": (["1", "+1", "1.0", "1e0", " 1\n"], ["0", "-1", "1.5", "x", "", "4097", "٣", "1_0"]),
    "gate": (["true", "False", " 1 ", "no", "ON"], ["", "2", "maybe", "-1"]),
    "output": (["json", " json", "mask "], [""]),
    "include": (["", "mask", "mask, overlay", " heatmap "], ["all", "mask;overlay"]),
}


@pytest.mark.parametrize(
    ("name", "text"), [(name, text) for name, (taken, _) in SCALARS.items() for text in taken]
)
def test_a_parameter_is_taken_however_it_is_printed(
    client: TestClient, phantom_png: bytes, name: str, text: str
) -> None:
    answer = client.post(URL, content=phantom_png, params={name: text})
    assert answer.status_code == 200, answer.text


@pytest.mark.parametrize(
    ("name", "text"), [(name, text) for name, (_, wrong) in SCALARS.items() for text in wrong]
)
def test_a_parameter_out_of_bounds_is_refused(
    client: TestClient, phantom_png: bytes, name: str, text: str
) -> None:
    answer = client.post(f"{URL}?{name}={quote(text)}", content=phantom_png)
    assert answer.status_code in (400, 406)
    assert name in answer.json()["detail"]


@pytest.mark.parametrize("name", [*SCALARS, "model"])
def test_a_parameter_that_is_said_twice_is_refused(
    client: TestClient, phantom_png: bytes, name: str
) -> None:
    first = "mask" if name not in SCALARS else SCALARS[name][0][0] or "mask"
    answer = client.post(URL, content=phantom_png, params={name: [first, first]})
    assert (answer.status_code, answer.json()["code"]) == (400, "invalid-parameter")
    assert name in answer.json()["detail"]


def test_a_frame_that_a_form_says_twice_is_refused(client: TestClient, phantom_png: bytes) -> None:
    answer = client.post(URL, files={"f": phantom_png}, data={"frame": ["1", "2"]})
    assert (answer.status_code, answer.json()["code"]) == (400, "invalid-parameter")


def test_numbers_that_are_none_stay_as_they_are() -> None:
    assert parse_integer(7) == 7
