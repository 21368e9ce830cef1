from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient
from numpy.typing import NDArray

from service.app import create_app
from service.services import Services, services_of
from service.settings import Settings
from tests.identity_net import write_identity_net


@pytest.fixture(scope="session")
def identity_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_identity_net(tmp_path_factory.mktemp("model") / "identity.onnx")


@pytest.fixture(scope="session")
def client(identity_model: Path) -> Iterator[TestClient]:
    """A client of the application as most tests want it; who changes it puts it back."""
    settings = Settings(model=identity_model, device="cpu", max_body_mib=1, log_level="debug")
    with TestClient(create_app(settings)) as client:
        yield client


def opened(client: TestClient) -> Services:
    """What the application behind a client has opened."""
    assert isinstance(client.app, FastAPI)
    services = services_of(client.app)
    assert services is not None
    return services


def breast_phantom() -> NDArray[np.uint8]:
    """240 x 160 pixels: tissue on the left, a lesion high in it, a weaker spot below, a label."""
    y, x = np.mgrid[:240, :160]
    pixels = np.zeros((240, 160), np.uint8)
    pixels[((y - 120) / 100) ** 2 + (x / 110) ** 2 < 1] = 80
    pixels[60:90, 30:70] = 250
    pixels[150:170, 40:60] = 190
    pixels[5:15, 130:155] = 255
    return pixels


@pytest.fixture(scope="session")
def phantom_png() -> bytes:
    return bytes(cv2.imencode(".png", breast_phantom())[1])
