"""`mammoseg.client` against the running service."""

import io
import re
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path

import anyio
import cv2
import numpy as np
import pydicom
import pytest
from PIL import Image as Pillow

from mammoseg.client import (
    AsyncClient,
    Client,
    FormNotAvailable,
    ImageUnreadable,
    ImageUnsuitable,
    RequestInvalid,
    RetryPolicy,
    SegmentationResult,
    ServiceUnreachable,
)
from tests.dicom_files import dicom_file, phantom
from tests.e2e.conftest import Service
from tests.mammogram_headers import full_header
from tests.service.api.conftest import breast_phantom

pytestmark = pytest.mark.e2e


@pytest.fixture
def client(service: Service) -> Iterator[Client]:
    with Client(service.url) as client:
        yield client


def mammogram(view: str = "CC") -> pydicom.Dataset:
    header = full_header(
        (240, 160), "L", view, SOPInstanceUID=f"1.2.826.0.1.3680043.10.1.{len(view)}"
    )
    header.PixelData = (breast_phantom().astype(np.uint16) << 4).tobytes()
    header["PixelData"].VR = "OW"
    return header


def test_an_image_is_segmented_and_its_mask_is_the_services(client: Client, tmp_path: Path) -> None:
    pixels = breast_phantom()
    result = client.segment(pixels, pixel_spacing_mm=1.0, include=("mask", "overlay"))
    assert result.mask.shape == pixels.shape and result.mask.any()
    with Pillow.open(io.BytesIO(result.renders["mask"])) as png:
        assert np.array_equal(np.asarray(png), result.mask)
    result.save_mask(tmp_path / "mask.png")
    with Pillow.open(io.BytesIO(client.picture(pixels, "mask", pixel_spacing_mm=1.0))) as png:
        assert np.array_equal(np.asarray(png), result.mask)
    assert result.mask_area_mm2 == result.mask.sum()
    assert result.has_mask.decision and result.image.pixel_spacing_mm == (1.0, 1.0)
    selected = [region for region in result.regions if region.selected]
    assert selected and selected[0].bbox[2] > 0


def test_the_dicom_results_of_a_dataset_can_be_read(client: Client) -> None:
    source = mammogram()
    buffer = io.BytesIO()
    pydicom.dcmwrite(buffer, _with_meta(source), enforce_file_format=True)
    files = client.dicom(buffer.getvalue(), ("seg", "sr"))
    assert [files[kind].dataset().Modality for kind in ("seg", "sr")] == ["SEG", "SR"]
    assert client.dicom(buffer.getvalue(), ["gsps"])["gsps"].dataset().Modality == "PR"
    with pytest.raises(FormNotAvailable):
        client.dicom(breast_phantom())


def _with_meta(source: pydicom.Dataset) -> pydicom.Dataset:
    source.file_meta = pydicom.dataset.FileMetaDataset()
    source.file_meta.TransferSyntaxUID = pydicom.uid.ExplicitVRLittleEndian
    source.file_meta.MediaStorageSOPClassUID = source.SOPClassUID
    source.file_meta.MediaStorageSOPInstanceUID = source.SOPInstanceUID
    return source


def test_a_study_is_scored_and_zipped(client: Client) -> None:
    files = [_with_meta(mammogram(view)) for view in ("CC", "MLO")]
    target = io.BytesIO()
    study = client.study_zip([*files, b"no image"], target)
    assert study.missing_views == ("RCC", "RMLO")
    problem = study.images[2].problem
    assert problem is not None and problem.code == "not-an-image" and problem.status == 400
    with zipfile.ZipFile(target) as archive:
        names = archive.namelist()
    assert "study.json" in names
    assert sum(name.endswith("-seg.dcm") for name in names) == 2


@pytest.mark.parametrize(
    ("file", "options", "kind", "code"),
    [
        (b"no image", {}, ImageUnreadable, "not-an-image"),
        (dicom_file(phantom(12), Modality="CT"), {}, ImageUnsuitable, "modality-not-accepted"),
        (breast_phantom(), {"pixel_spacing_mm": 99.0}, RequestInvalid, "invalid-parameter"),
    ],
)
def test_a_problem_is_an_error_of_its_class(
    client: Client, file: bytes, options: dict[str, float], kind: type[Exception], code: str
) -> None:
    with pytest.raises(kind) as error:
        client.segment(file, **options)  # type: ignore[arg-type]
    assert error.value.code == code  # type: ignore[attr-defined]
    assert error.value.problem.request_id  # type: ignore[attr-defined]


def test_model_and_readiness_are_told(client: Client) -> None:
    assert client.is_ready()
    assert client.model().contract["name"] == "identity"
    with Client("http://127.0.0.1:9", retry=RetryPolicy(tries=1)) as nobody:
        assert not nobody.is_ready()
        with pytest.raises(ServiceUnreachable):
            nobody.model()


@pytest.mark.parametrize("backend", ["asyncio"])
def test_the_async_client_asks_several_at_once(service: Service, backend: str) -> None:
    png = bytes(cv2.imencode(".png", breast_phantom())[1])

    async def ask() -> list[SegmentationResult]:
        results: list[SegmentationResult] = []

        async def one(client: AsyncClient) -> None:
            results.append(await client.segment(png, pixel_spacing_mm=1.0))

        async with AsyncClient(service.url) as client, anyio.create_task_group() as group:
            for _ in range(4):
                group.start_soon(one, client)
        async with AsyncClient(service.url) as client:
            assert await client.is_ready()
            target = io.BytesIO()
            await client.study_zip([png], target, ())
            assert (await client.model()).device == "cpu"
        return results

    results = anyio.run(ask, backend=backend)
    assert len({result.has_mask.score for result in results}) == 1


def test_the_page_about_clients_shows_what_works(service: Service, tmp_path: Path) -> None:
    page = (Path(__file__).parents[2] / "docs" / "clients.md").read_text("utf-8")
    (shown,) = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    (tmp_path / "mammogram.dcm").write_bytes(dicom_file(phantom(12), ImagerPixelSpacing=[1, 1]))
    told = subprocess.run(
        [sys.executable, "-c", shown.replace("http://127.0.0.1:8000", service.url)],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
    )
    assert "(72, 56) bool" in told.stdout
    assert (tmp_path / "mask.png").is_file()


def test_the_client_brings_nothing_of_the_service_along() -> None:
    script = """
import sys, mammoseg.client
print(*sorted({"service", "model_export", "pydantic", "fastapi", "pydicom", "cv2", "onnxruntime"}
              & {name.partition(".")[0] for name in sys.modules}))
"""
    told = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert told.stdout.strip() == ""
