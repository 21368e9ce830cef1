"""Markers in everything that is sent; none may come out: not in answers, logs, metrics, pictures.

The one thing that may is the validated SOP Instance UID, in JSON.
"""

import base64
import gzip
import io
import os
import struct
from collections.abc import Iterator
from functools import cache

import httpx
import imagecodecs
import numpy as np
import pytest
from PIL import Image, PngImagePlugin

from service.imaging.transfer_syntaxes import DEFLATED
from tests import http_client
from tests.canaries import MARKS, WORD, canary_file
from tests.dicom_files import SOP_INSTANCE_UID, dicom_file, multi_frame_file, phantom
from tests.e2e.conftest import Service, serving
from tests.identity_net import write_identity_net
from tests.service.api.conftest import breast_phantom
from tests.transfer_syntaxes import RLE

pytestmark = pytest.mark.e2e

PHOTO = breast_phantom()
HEADERS = {
    "User-Agent": WORD,
    "Cookie": f"patient={WORD}",
    "X-Request-ID": WORD,
    "Referer": f"https://pacs/{WORD}",
    "Authorization": f"Basic {base64.b64encode(WORD.encode()).decode()}",
    "traceparent": WORD,
    "tracestate": f"patient={WORD}",
}
QUERY = {"output": "json", "include": "mask,heatmap,overlay"}


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    with pytest.MonkeyPatch.context() as patch:
        # Nobody may rely on warnings being switched off from outside.
        patch.setitem(os.environ, "PYTHONWARNINGS", "always")
        folder = tmp_path_factory.mktemp("canaries")
        (folder / "secret").write_text("a secret of a site")
        with serving(
            folder,
            # Whatever the net finds, the same code tells it.
            model=str(write_identity_net(folder / "identity.onnx")),
            max_body_mib="8",
            inference_log="log",
            study_secret_file=str(folder / "secret"),
        ) as service:
            yield service


def form(content: bytes, *, boundary: str = f"b{WORD}", related: bool = False) -> dict[str, object]:
    """A multipart body with a marker in every name, value and header."""
    kind = "related" if related else "form-data"
    lines = (
        f"--{boundary}",
        f'Content-Disposition: form-data; name="{WORD}"',
        "",
        WORD,
        f"--{boundary}",
        f'Content-Disposition: form-data; name="{WORD}"; filename="{WORD}.dcm"',
        f"Content-Type: application/dicom; patient={WORD}",
        f"Content-ID: <{WORD}>",
        f"Content-Location: {WORD}",
        f"X-{WORD}: {WORD}",
        "",
        "",
    )
    body = "\r\n".join(lines).encode() + content + f"\r\n--{boundary}--\r\n".encode()
    return {
        "content": body,
        "headers": {"Content-Type": f'multipart/{kind}; boundary="{boundary}"; a="{WORD}"'},
    }


def raw(content: bytes, media_type: str = "application/dicom", **headers: str) -> dict[str, object]:
    return {"content": content, "headers": {"Content-Type": media_type, **headers}}


def pictures() -> dict[str, bytes]:
    """PNG, JPEG and TIFF with markers in their text."""
    image, notes = Image.fromarray(PHOTO), PngImagePlugin.PngInfo()
    notes.add_text("Description", WORD)
    notes.add_text(WORD, WORD, zip=True)
    notes.add_itxt("XML:com.adobe.xmp", WORD)
    exif = Image.Exif()
    exif[0x010E] = exif[0x013B] = exif[0x8298] = WORD
    files = {}
    for name, options in (
        ("PNG", {"pnginfo": notes, "exif": exif}),
        ("JPEG", {"comment": WORD, "exif": exif}),
        ("TIFF", {"tiffinfo": {270: WORD, 315: WORD, 33432: WORD, 65000: WORD}}),
    ):
        sink = io.BytesIO()
        image.save(sink, name, **options)
        assert WORD.encode() in sink.getvalue()
        files[name] = sink.getvalue()
    return files


@cache
def good() -> dict[str, dict[str, object]]:
    plain = canary_file(valid=True)
    return {
        "raw": raw(plain),
        "every text invalid": raw(canary_file(valid=False)),
        "curl": raw(plain, "application/x-www-form-urlencoded"),
        "form": form(plain),
        "related": form(plain, related=True),
        "gzip": raw(gzip.compress(plain), **{"Content-Encoding": "gzip"}),
        "uid invalid": raw(canary_file(valid=True, t00080018=f"1.2.{WORD}".encode())),
        "explicit as implicit": raw(canary_file(valid=True, syntax="1.2.840.10008.1.2")),
        "parameter": raw(plain, f"application/dicom; transfer-syntax={WORD}"),
        **{name: raw(content, "") for name, content in pictures().items()},
    }


def cut(content: bytes, parts: int) -> bytes:
    return content[: len(content) * parts // 10]


@cache
def bad() -> dict[str, tuple[int, dict[str, object]]]:
    """Every kind of refusal, by what the caller did."""
    plain = canary_file(valid=True)
    codestream = WORD.encode() * 20
    return {
        "empty": (400, raw(b"")),
        "text": (400, raw(WORD.encode() * 50)),
        "cut in the header": (400, raw(cut(plain, 3))),
        "cut in the pixels": (400, raw(plain[:-100])),
        "little as big": (400, raw(canary_file(valid=True, syntax="1.2.840.10008.1.2.2"))),
        "not deflated": (400, raw(canary_file(valid=True, syntax=DEFLATED))),
        "not encapsulated": (400, raw(canary_file(valid=True, syntax=RLE))),
        "unknown syntax": (415, raw(canary_file(valid=True, syntax=f"1.2.{WORD}"))),
        "modality": (422, raw(canary_file(valid=True, t00080060=WORD.encode()))),
        "photometric": (422, raw(canary_file(valid=True, t00280004=WORD.encode()))),
        "frames": (422, raw(canary_file(valid=True, t00280008=b"27182818"))),
        "no rows": (400, raw(canary_file(valid=True, t00280010=b"\0\0"))),
        "huge": (413, raw(canary_file(valid=True, t00280010=b"\xff\xff", t00280011=b"\xff\xff"))),
        "bits": (400, raw(canary_file(valid=True, t00280101=b"\x63\0"))),
        "frame cut": (
            400,
            raw(multi_frame_file([phantom(12)] * 2, PatientName=WORD)[:-9000])
            | {"params": {"frame": "2"}},
        ),
        "codestream": (
            400,
            raw(codestream_file(b"\xff\x4f\xff\x51" + codestream, "1.2.840.10008.1.2.4.90")),
        ),
        "jpeg-ls": (400, raw(codestream_file(b"\xff\xd8" + codestream, "1.2.840.10008.1.2.4.80"))),
        **{f"{name} cut": (400, raw(cut(body, 9), "")) for name, body in pictures().items()},
        "colour": (
            422,
            raw(bytes(imagecodecs.png_encode(np.dstack([PHOTO, PHOTO // 2, PHOTO]))), ""),
        ),
        "media type": (415, raw(plain, f"text/{WORD}")),
        "coding": (415, raw(plain, **{"Content-Encoding": WORD})),
        "no gzip": (400, raw(plain, **{"Content-Encoding": "gzip"})),
        "no boundary": (400, raw(form(plain)["content"], f"multipart/form-data; a={WORD}")),  # type: ignore[arg-type]
        "two files": (400, raw(two_files(plain), "multipart/form-data; boundary=b")),
        "large": (413, raw(plain * (1 + 8 * 2**20 // len(plain)))),
        "output": (406, raw(plain) | {"params": {"output": WORD}}),
        "accept": (406, raw(plain, Accept=f"text/{WORD}") | {"params": {}}),
        "parameter": (400, raw(plain) | {"params": {"max_side": WORD, "frame": WORD}}),
        "unknown parameter": (400, raw(plain) | {"params": {"patient": WORD, WORD: WORD}}),
        "nearly a field": (400, {"files": {"f": plain}, "data": {"Frames": WORD}}),
        "field": (400, {"files": {"f": plain}, "data": {"frame": WORD}}),
        "headers": (431, raw(plain, **{"X-Long": WORD * 3000})),
    }


def codestream_file(frame: bytes, syntax: str) -> bytes:
    return dicom_file(frame=frame, syntax=syntax, PatientName=WORD, PatientID=WORD)


def two_files(plain: bytes) -> bytes:
    part = f'--b\r\nContent-Disposition: form-data; filename="{WORD}"\r\n\r\n'.encode()
    return (part + plain + b"\r\n") * 2 + b"--b--\r\n"


def send(service: Service, request: dict[str, object], path: str = "/v1/segment") -> httpx.Response:
    headers = HEADERS | request.get("headers", {})  # type: ignore[operator]
    given = {"params": QUERY} | request | {"headers": headers}
    return http_client.post(f"{service.url}{path}", timeout=60, **given)  # type: ignore[arg-type]


def check_png(png: bytes) -> None:
    """Nothing but pixels: no text, no time, no profile."""
    at, chunks = 8, set()
    while at < len(png):
        (length,) = struct.unpack_from(">L", png, at)
        chunks.add(png[at + 4 : at + 8])
        at += 12 + length
    assert chunks == {b"IHDR", b"IDAT", b"IEND"}


def check_text(text: str) -> None:
    for mark in MARKS:
        assert mark.lower() not in text.lower(), mark


def check_answer(answer: httpx.Response) -> None:
    check_text(repr(sorted(answer.headers.items())))
    if answer.headers["content-type"] == "image/png":
        check_png(answer.content)
        return
    check_text(answer.text)
    if answer.status_code == 200:
        for picture in answer.json()["renders"].values():
            check_png(base64.b64decode(picture))


def check_what_is_kept(service: Service) -> None:
    log = service.log.read_text()
    assert log.count('"event": "request"') > 3
    check_text(log)
    assert SOP_INSTANCE_UID not in log
    assert "Warning" not in log
    metrics = http_client.get(f"{service.url}/metrics").text
    assert "mammoseg_requests_total" in metrics
    check_text(metrics)
    assert SOP_INSTANCE_UID not in metrics


def test_the_markers_are_where_they_should_be() -> None:
    for valid in (True, False):
        file = canary_file(valid=valid)
        assert file.count(WORD.encode()) > 3000
    assert all(mark.encode() in canary_file(valid=True) for mark in MARKS)


@pytest.mark.parametrize("name", good())
def test_a_good_request_gives_nothing_back(service: Service, name: str) -> None:
    request = good()[name]
    answer = send(service, request)
    assert answer.status_code == 200, answer.text
    check_answer(answer)
    dicom = name not in ("PNG", "JPEG", "TIFF", "uid invalid")
    assert answer.json()["image"]["sop_instance_uid"] == (SOP_INSTANCE_UID if dicom else None)
    for output in ("mask", "heatmap", "overlay"):
        picture = send(service, request | {"params": {"output": output}})
        assert picture.headers["content-type"] == "image/png"
        check_answer(picture)
        assert SOP_INSTANCE_UID not in repr(picture.headers)
    check_what_is_kept(service)


@pytest.mark.parametrize("name", bad())
def test_a_refusal_gives_nothing_back(service: Service, name: str) -> None:
    status, request = bad()[name]
    answer = send(service, request)
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    check_answer(answer)
    assert SOP_INSTANCE_UID not in answer.text
    check_what_is_kept(service)


def test_paths_and_methods_give_nothing_back(service: Service) -> None:
    for method, path in (("GET", f"/{WORD}"), ("PUT", f"/v1/segment?{WORD}"), (WORD, "/v1/model")):
        answer = http_client.request(method, service.url + path, headers=HEADERS)
        assert answer.status_code in (400, 404, 405)
        check_answer(answer)
    check_what_is_kept(service)
