import dataclasses
from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from service.app import create_app
from service.connections.server import device_failed
from service.services import services_of
from service.settings import Settings
from tests.identity_net import write_identity_net

pytestmark = pytest.mark.integration


def test_an_application_opens_its_services_when_it_starts(
    tmp_path: Path,
) -> None:
    model = write_identity_net(tmp_path / "identity.onnx")
    settings = Settings(model=model, device="cpu", readers=1)
    app = create_app(settings)
    assert services_of(app) is None
    assert not device_failed(app)
    with TestClient(app):
        opened = services_of(app)
        assert opened is not None
        assert opened.settings is settings
        assert opened.inbox_worker is None
        with pytest.raises(dataclasses.FrozenInstanceError):
            opened.inbox_worker = None  # type: ignore[misc]
