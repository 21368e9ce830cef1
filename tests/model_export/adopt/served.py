"""Asking a served file over HTTP, and comparing what it says with a framework's answer."""

from io import BytesIO
from pathlib import Path

import httpx
import numpy as np
import pydicom
from fastapi.testclient import TestClient
from numpy.typing import NDArray

from model_export.adopt.foreign import View
from model_export.adopt.proof import agreement
from model_export.adopt.sample import breast_of
from service.app import create_app
from service.settings import Settings


def probability_over_http(url: str, view: Path) -> NDArray[np.float32]:
    """Return the probability that a service delivers as a FRACTIONAL segmentation."""
    answer = httpx.post(
        f"{url}/v1/segment?output=seg-fractional&gate=false",
        content=view.read_bytes(),
        headers={"content-type": "application/dicom"},
        timeout=60,
    )
    return _probability(answer.content, answer.status_code)


def breast_on_pixels(display: NDArray[np.float32]) -> NDArray[np.bool_]:
    """Return the breast on the view's own pixels."""
    pixels = np.rint(display * 65535).astype(np.uint16)
    return breast_of(View(pixels, 1.0))


def demand_the_same(
    served: NDArray[np.float32], wanted: NDArray[np.float32], display: NDArray[np.float32]
) -> None:
    """Fail unless the served probability is the framework's.

    Within .01 at 99.9 % of the breast's pixels, and Dice at least .99.
    """
    found = agreement(served, wanted, breast_on_pixels(display))
    assert found.close is not None and found.close >= 0.999, str(found)
    assert found.dice is not None and found.dice >= 0.99, str(found)


def probability_from(file: Path, view: Path) -> NDArray[np.float32]:
    """Serve a file in this process and return the probability that is delivered."""
    with TestClient(create_app(Settings(model=file, device="cpu"))) as client:
        answer = client.post(
            "/v1/segment?output=seg-fractional&gate=false",
            content=view.read_bytes(),
            headers={"content-type": "application/dicom"},
        )
    return _probability(answer.content, answer.status_code)


def _probability(body: bytes, status: int) -> NDArray[np.float32]:
    assert status == 200, body[:500]
    dataset = pydicom.dcmread(BytesIO(body))
    values = dataset.pixel_array.astype(np.float32) / np.float32(dataset.MaximumFractionalValue)
    return values.reshape(dataset.Rows, dataset.Columns)
