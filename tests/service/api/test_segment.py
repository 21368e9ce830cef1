import base64
import io
from typing import Any

import cv2
import numpy as np
import pytest
from fastapi.testclient import TestClient
from numpy.typing import NDArray
from PIL import Image

from service.api.options import parse_spacing
from service.api.segment import parse_include
from service.segmenter import REFUSED_INTENTS
from tests.dicom_files import dicom_file
from tests.service.api.conftest import breast_phantom, opened

pytestmark = pytest.mark.integration

PNG = {"Content-Type": "image/png"}
SPACED = "/v1/segment?pixel_spacing_mm=1"


def decode_rle(mask: dict[str, Any]) -> NDArray[np.bool_]:
    rows, columns = mask["size"]
    counts = mask["counts"]
    flat = np.repeat(np.arange(len(counts)) % 2 == 1, counts)
    return flat.reshape(columns, rows).T


def picture(png: bytes) -> NDArray[np.uint8]:
    return np.asarray(cv2.imdecode(np.frombuffer(png, np.uint8), cv2.IMREAD_UNCHANGED))


def test_the_lesion_is_found_where_it_lies(client: TestClient, phantom_png: bytes) -> None:
    answer = client.post(SPACED, content=phantom_png, headers=PNG)
    assert answer.status_code == 200
    result = answer.json()
    assert (result["image"]["rows"], result["image"]["columns"]) == (240, 160)
    assert result["image"]["pixel_spacing_mm"] == [1.0, 1.0]
    assert result["has_mask"]["decision"] is True
    assert result["mask"]["size"] == [240, 160]
    strong, weak = result["regions"]
    assert strong["bbox"] == [30, 60, 40, 30]
    assert strong["selected"] and not weak["selected"]
    assert strong["area_mm2"] == 1200.0
    assert strong["centroid"] == [49.5, 74.5]
    assert weak["bbox"] == [40, 150, 20, 20]
    expected = np.zeros((240, 160), np.bool_)
    expected[60:90, 30:70] = True
    np.testing.assert_array_equal(decode_rle(result["mask"]), expected)
    assert result["mask"]["area_mm2"] == 1200.0
    assert 0.02 < result["mask"]["fraction_of_breast"] < 0.1
    assert result["warnings"] == []
    assert set(result["timing_ms"]) == {
        *("read", "wait", "breast", "tiles", "net", "regions", "total")
    }


@pytest.mark.parametrize("flip", [(1, 1), (-1, 1), (1, -1), (-1, -1)])
@pytest.mark.parametrize("spacing", ["1", "0.5", "2", "1,0.5"])
def test_orientation_and_spacing_move_nothing(
    client: TestClient, flip: tuple[int, int], spacing: str
) -> None:
    pixels = np.ascontiguousarray(breast_phantom()[:: flip[0], :: flip[1]])
    png = bytes(cv2.imencode(".png", pixels)[1])
    result = client.post(f"/v1/segment?pixel_spacing_mm={spacing}", content=png, headers=PNG).json()
    mask = decode_rle(result["mask"])
    truth = pixels == 250
    # Resampling softens an edge by at most a working pixel; nothing may shift.
    rows, columns = np.nonzero(mask)
    true_rows, true_columns = np.nonzero(truth)
    assert abs(rows.mean() - true_rows.mean()) < 0.6
    assert abs(columns.mean() - true_columns.mean()) < 0.6
    assert (mask & truth).sum() / (mask | truth).sum() > 0.88


def test_the_mask_png_is_one_bit_on_the_source_grid(client: TestClient, phantom_png: bytes) -> None:
    answer = client.post(SPACED + "&output=mask", content=phantom_png, headers=PNG)
    assert answer.headers["content-type"] == "image/png"
    mask = Image.open(io.BytesIO(answer.content))
    assert (mask.mode, mask.size) == ("1", (160, 240))
    json_mask = client.post(SPACED, content=phantom_png, headers=PNG).json()["mask"]
    np.testing.assert_array_equal(np.asarray(mask), decode_rle(json_mask))
    assert answer.headers["mammoseg-has-mask"] == "yes"


@pytest.mark.parametrize("output", ["heatmap", "overlay"])
def test_renders_are_bounded(client: TestClient, phantom_png: bytes, output: str) -> None:
    url = f"{SPACED}&output={output}&max_side=120"
    assert picture(client.post(url, content=phantom_png, headers=PNG).content).shape == (120, 80, 3)
    larger = client.post(f"{SPACED}&output={output}", content=phantom_png, headers=PNG)
    assert picture(larger.content).shape == (240, 160, 3)


def test_the_heatmap_is_hot_where_the_lesion_is(client: TestClient, phantom_png: bytes) -> None:
    png = client.post(SPACED + "&output=heatmap", content=phantom_png, headers=PNG).content
    brightness = picture(png).astype(int).sum(axis=2)
    assert brightness[62:88, 32:68].min() > brightness[:50].max()
    assert brightness[62:88, 32:68].min() > brightness[180:].max()


def test_the_overlay_outlines_the_lesion_in_green(client: TestClient, phantom_png: bytes) -> None:
    answer = client.post(SPACED + "&output=overlay", content=phantom_png, headers=PNG)
    overlay = picture(answer.content)
    blue, green, red = (overlay[..., channel].astype(int) for channel in range(3))
    rows, columns = np.nonzero((green > 150) & (red < 120) & (blue < 120))
    assert 58 <= rows.min() <= 61 and 88 <= rows.max() <= 92
    assert 28 <= columns.min() <= 31 and 68 <= columns.max() <= 72


def test_renders_come_inside_the_json_when_asked_for(
    client: TestClient, phantom_png: bytes
) -> None:
    result = client.post(SPACED + "&include=mask,overlay", content=phantom_png, headers=PNG).json()
    assert result["renders"]["heatmap"] is None
    mask = picture(base64.b64decode(result["renders"]["mask"]))
    assert mask.shape == (240, 160)
    assert picture(base64.b64decode(result["renders"]["overlay"])).shape == (240, 160, 3)


def test_without_spacing_millimetres_are_null_and_a_warning_says_so(
    client: TestClient, phantom_png: bytes
) -> None:
    result = client.post("/v1/segment", content=phantom_png, headers=PNG).json()
    assert result["image"]["pixel_spacing_mm"] is None
    assert result["mask"]["area_mm2"] is None
    assert all(region["area_mm2"] is None for region in result["regions"])
    assert [warning["code"] for warning in result["warnings"]] == ["spacing-assumed"]
    picture_answer = client.post("/v1/segment?output=mask", content=phantom_png, headers=PNG)
    assert picture_answer.headers["mammoseg-warnings"] == "spacing-assumed"


class TestGate:
    """A has-mask decision of no empties the mask, and says so; regions stay."""

    @pytest.fixture
    def flat_png(self) -> bytes:
        y, x = np.mgrid[:240, :160]
        pixels = np.zeros((240, 160), np.uint8)
        pixels[((y - 120) / 100) ** 2 + (x / 110) ** 2 < 1] = 80
        return bytes(cv2.imencode(".png", pixels)[1])

    def test_it_empties(
        self, client: TestClient, flat_png: bytes, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        segmenter = opened(client).segmenter
        strict = segmenter.contract.operating_point.model_copy(update={"has_mask": 0.99})
        contract = segmenter.contract.model_copy(update={"operating_point": strict})
        monkeypatch.setattr(segmenter, "contract", contract)
        gated = client.post(SPACED, content=flat_png, headers=PNG).json()
        assert gated["has_mask"]["decision"] is False
        assert gated["mask"]["gated"] is True
        assert gated["mask"]["counts"] == [240 * 160]
        assert gated["mask"]["area_mm2"] == 0.0
        assert gated["regions"]
        raw = client.post(SPACED + "&gate=false", content=flat_png, headers=PNG).json()
        assert raw["mask"]["gated"] is False
        assert raw["mask"]["area_mm2"] > 0


FOR_PROCESSING = "1.2.840.10008.5.1.4.1.1.1.2.1"
SECONDARY_CAPTURE = "1.2.840.10008.5.1.4.1.1.7"


@pytest.mark.parametrize(
    ("elements", "intent"),
    [
        ({}, "presentation"),
        ({"SOPClassUID": FOR_PROCESSING, "PresentationIntentType": None}, "processing"),
        ({"SOPClassUID": SECONDARY_CAPTURE, "PresentationIntentType": None}, "film"),
        ({"SOPClassUID": None, "PresentationIntentType": None}, "unstated"),
    ],
)
def test_the_intent_decides_and_is_told(
    client: TestClient, elements: dict[str, Any], intent: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    segmenter = opened(client).segmenter
    body = dicom_file(**elements)
    for accepted in ((intent,), tuple({"presentation", "processing", "film"} - {intent})):
        contract = segmenter.contract.model_copy(update={"accepted_intents": accepted})
        monkeypatch.setattr(segmenter, "contract", contract)
        answer = client.post(SPACED, content=body)
        if intent in accepted:
            assert answer.json()["image"]["intent"] == intent
        else:
            assert (answer.status_code, answer.json()["code"]) == (422, "intent")
            assert answer.json()["detail"] == REFUSED_INTENTS[intent]  # type: ignore[index]
    assert "FOR PRESENTATION" in REFUSED_INTENTS["processing"]


@pytest.mark.parametrize(
    ("text", "spacing"),
    [(None, None), ("0.1", (0.1, 0.1)), ("0.1,0.2", (0.1, 0.2)), ("1", (1.0, 1.0))],
)
def test_spacing_is_parsed(text: str | None, spacing: tuple[float, float] | None) -> None:
    assert parse_spacing(text) == spacing


@pytest.mark.parametrize(
    "text", ["", "0", "-1", "nan", "inf", "1e-3", "0.1,", "6", "5.5", "0.001", "1,2,3", "٣"]
)
def test_spacing_out_of_bounds_is_refused(client: TestClient, text: str) -> None:
    answer = client.post("/v1/segment", params={"pixel_spacing_mm": text}, content=b"x")
    assert (answer.status_code, answer.json()["code"]) == (400, "invalid-parameter")
    assert "pixel_spacing_mm" in answer.json()["detail"]


@pytest.mark.parametrize("text", ["0.01", "0.1", "0.070", "4.99", "5", "0.07,0.085"])
def test_spacing_within_bounds_is_taken(client: TestClient, phantom_png: bytes, text: str) -> None:
    answer = client.post("/v1/segment", params={"pixel_spacing_mm": text}, content=phantom_png)
    assert answer.json().get("code") in (None, "size-implausible")


def test_include_is_parsed(client: TestClient) -> None:
    assert parse_include("") == set()
    assert parse_include("mask,overlay") == {"mask", "overlay"}
    answer = client.post("/v1/segment?include=mask,everything", content=b"x")
    assert (answer.status_code, answer.json()["code"]) == (400, "invalid-parameter")


@pytest.mark.parametrize(
    ("lines", "media_type"),
    [
        (["text/html", "application/json"], "application/json"),
        (["application/json;q=0.1", "image/png"], "image/png"),
        (["image/png", "application/json;q=0.1"], "image/png"),
        (["application/dicom", "application/json;q=0.5"], "application/json"),
    ],
)
def test_several_lines_of_accept_are_one_list(
    client: TestClient, phantom_png: bytes, lines: list[str], media_type: str
) -> None:
    for headers in ([("Accept", line) for line in lines], [("Accept", ", ".join(lines))]):
        answer = client.post(SPACED, content=phantom_png, headers=headers)
        assert (answer.status_code, answer.headers["content-type"]) == (200, media_type)


def test_a_dicom_result_of_a_png_is_refused_where_nothing_else_is_accepted(
    client: TestClient, phantom_png: bytes
) -> None:
    accept = {"Accept": "application/dicom"}
    answer = client.post(SPACED, content=phantom_png, headers=accept)
    assert (answer.status_code, answer.json()["code"]) == (406, "output")
    answer = client.post(SPACED, content=b"no image", headers=accept)
    assert (answer.status_code, answer.json()["code"]) == (400, "not-an-image")
