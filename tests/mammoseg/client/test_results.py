import io
import zipfile
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
import yaml
from PIL import Image as Pillow

from mammoseg.client import AnswerBroken, DicomFile, Study
from mammoseg.client.calls import parts_of, write_study_zip
from mammoseg.client.mask import mask_of
from tests.mammoseg.client.scripted import Script, result_document

pytestmark = pytest.mark.integration

ROOT = Path(__file__).parents[3]


def study_document() -> dict[str, Any]:
    problem = {"type": "", "title": "t", "status": 415, "code": "transfer-syntax", "detail": "d"}
    view = {"laterality": "L", "view_position": "CC", "score": 0.75, "images": [0]}
    return {
        "study": {
            "rule": "mean-of-views",
            "score": 0.75,
            "breasts": [{"laterality": "L", "score": 0.75, "views": [view]}],
            "views_of_unknown_side": [],
            "images": [0],
            "missing_views": ["RCC", "RMLO", "LMLO"],
        },
        "images": [
            {"index": 0, "result": result_document(), "problem": None},
            {"index": 1, "result": None, "problem": problem | {"request_id": "r"}},
        ],
        "warnings": [{"code": "images-refused", "detail": "d"}],
    }


def test_a_result_is_read_whole() -> None:
    result = Script((httpx.Response(200, json=result_document()),)).client().segment(b"image")
    assert result.mask.tolist() == [[False, True, False], [True, False, False]]
    assert (result.image.pixel_spacing_mm, result.image.laterality) == ((0.1, 0.2), "L")
    assert result.regions[0].contour == ((0, 1), (1, 0))
    assert [warning.code for warning in result.warnings] == ["spacing-assumed"]
    with Pillow.open(io.BytesIO(result.mask_png())) as png:
        assert (png.mode, np.asarray(png).tolist()) == ("1", result.mask.tolist())


def test_a_study_is_read_whole_with_what_was_refused() -> None:
    study = Script((httpx.Response(200, json=study_document()),)).client().study([b"a", b"b"])
    assert (study.score, study.missing_views) == (0.75, ("RCC", "RMLO", "LMLO"))
    assert study.breasts[0].views[0].images == (0,)
    assert study.images[0].result is not None and study.images[0].problem is None
    problem = study.images[1].problem
    assert problem is not None and (problem.status, problem.code) == (415, "transfer-syntax")


def test_every_field_of_the_description_is_known() -> None:
    schemas = yaml.safe_load((ROOT / "openapi.yaml").read_text("utf-8"))["components"]["schemas"]

    def check(document: Any, schema: dict[str, Any]) -> None:
        if "$ref" in schema:
            schema = schemas[schema["$ref"].rpartition("/")[2]]
        for name, kind in schema.get("properties", {}).items():
            if name == "type" and "code" in schema["properties"]:
                continue
            assert name in document, name
            options = [kind, *kind.get("anyOf", ())]
            for option in options:
                if document[name] is None:
                    continue
                if "$ref" in option:
                    check(document[name], option)
                if option.get("type") == "array" and "$ref" in option.get("items", {}):
                    for item in document[name]:
                        check(item, option["items"])

    check(study_document(), schemas["StudyResult"])


@pytest.mark.parametrize(
    "document",
    [
        None,
        [],
        {},
        result_document(mask=None),
        result_document(has_mask={"score": "high"}),
        result_document(regions=[{"bbox": [1, 2, 3]}]),
        result_document(renders={"mask": "no base64!"}),
    ],
)
def test_an_answer_of_something_else_is_said(document: Any) -> None:
    with pytest.raises(AnswerBroken, match="no SegmentationResult"):
        Script((httpx.Response(200, json=document),)).client().segment(b"image")


@pytest.mark.parametrize(
    "part",
    [
        {"encoding": "png", "size": [2, 3], "counts": [6]},
        {"encoding": "coco_rle", "size": [2, 3], "counts": [5]},
        {"encoding": "coco_rle", "size": [2, 3], "counts": [-1, 7]},
        {"encoding": "coco_rle", "size": [0, 3], "counts": []},
    ],
)
def test_a_mask_that_does_not_fill_its_size_is_refused(part: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="mask"):
        mask_of(part)


def related(*parts: bytes, boundary: str = "b-1") -> httpx.Response:
    body = b"".join(
        b"--" + boundary.encode() + b"\r\nContent-Type: application/dicom\r\n\r\n" + part + b"\r\n"
        for part in parts
    )
    return httpx.Response(
        200,
        content=body + b"--" + boundary.encode() + b"--\r\n",
        headers={
            "Content-Type": f'multipart/related; type="application/dicom"; boundary="{boundary}"'
        },
    )


def test_dicom_results_come_by_kind_and_byte_for_byte() -> None:
    script = Script((related(b"\r\n--b-", b"\0\r\n\r\n\xff"),))
    files = script.client().dicom(b"image", ("seg", "sr"))
    assert {kind: file.content for kind, file in files.items()} == {
        "seg": b"\r\n--b-",
        "sr": b"\0\r\n\r\n\xff",
    }
    assert script.requests[0].url.params["output"] == "seg,sr"
    whole = related(b"one")
    with pytest.raises(AnswerBroken, match="2 objects were asked for, 1 came"):
        Script((whole,)).client().dicom(b"image", ("seg", "sr"))
    cut = httpx.Response(200, content=whole.content[:-6], headers=dict(whole.headers))
    with pytest.raises(AnswerBroken, match="breaks off"):
        parts_of(cut)


def test_a_study_fits_into_a_zip() -> None:
    target = io.BytesIO()
    write_study_zip(
        target, Study.from_json(study_document()), [{"seg": DicomFile("seg", b"object")}, {}]
    )
    with zipfile.ZipFile(target) as archive:
        assert archive.namelist() == ["study.json", "0-L-CC-mask.png", "0-L-CC-seg.dcm"]
        assert archive.read("0-L-CC-seg.dcm") == b"object"


def test_what_is_asked_is_what_is_sent(tmp_path: Path) -> None:
    script = Script((httpx.Response(200, json=result_document()),))
    file = tmp_path / "Doe^Jane.dcm"
    file.write_bytes(b"image")
    client = script.client(key="secret", headers={"X-Site": "1"})
    client.segment(file, pixel_spacing_mm=(0.1, 0.25), gate=False, frame=2, include=("mask",))
    sent = script.requests[0]
    assert dict(sent.url.params) == {
        "pixel_spacing_mm": "0.1,0.25", "gate": "false", "frame": "2", "include": "mask",
    }  # fmt: skip
    assert (sent.headers["Authorization"], sent.headers["X-Site"]) == ("Bearer secret", "1")
    study = Script((httpx.Response(200, json=study_document()),))
    study.client().study([file, b"other"])
    assert b"Doe" not in study.requests[0].content
    assert b"image" in study.requests[0].content and b"other" in study.requests[0].content


def test_arrays_and_open_files_may_be_sent_and_nothing_else() -> None:
    script = Script((httpx.Response(200, json=result_document()),))
    pixels = np.arange(6, dtype=np.uint16).reshape(2, 3) * 10_000
    script.client().segment(pixels)
    with Pillow.open(io.BytesIO(script.requests[0].content)) as png:
        assert np.array_equal(np.asarray(png), pixels)
    script.client().segment(io.BytesIO(b"opened"))
    assert script.requests[1].content == b"opened"
    for wrong, error in ((3, TypeError), (io.StringIO("x"), TypeError), (pixels[0], ValueError)):
        with pytest.raises(error):
            script.client().segment(wrong)  # type: ignore[arg-type]
    for call in (lambda: script.client().study([]), lambda: script.client().dicom(b"i", ())):
        with pytest.raises(ValueError, match="at least one"):
            call()


def test_a_client_asks_for_its_model_with_every_request_beside_its_other_choices() -> None:
    script = Script((httpx.Response(200, json=result_document()),))
    with script.client(model="adopted", params={"site": "a"}) as client:
        assert client.segment(b"image", gate=False).model.id == "a"
        client.segment(b"image")
    with script.client() as client:
        client.segment(b"image")
    assert [dict(request.url.params) for request in script.requests] == [
        {"site": "a", "model": "adopted", "gate": "false"},
        {"site": "a", "model": "adopted"},
        {},
    ]
