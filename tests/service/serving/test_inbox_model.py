"""The inbox uses the model that the settings name, and the shadow sees what the default judges."""

from io import BytesIO
from pathlib import Path

import pytest
from fastapi.testclient import TestClient
from pydicom import dcmread

from service.app import create_app
from service.settings import Settings
from tests.identity_net import write_identity_net, write_scored_net
from tests.service.api.conftest import opened
from tests.service.api.test_stow import comes_true, post, related
from tests.service.inbox.conftest import mammogram
from tests.stow_server import stow_server

pytestmark = [pytest.mark.integration, pytest.mark.usefixtures("borrowed_readers")]


@pytest.mark.parametrize(
    ("inbox_model", "version", "shadowed"), [("second", "0.0.2", 0.0), (None, "0.0.1", 1.0)]
)
def test_instances_are_judged_by_it(
    inbox_model: str | None, version: str, shadowed: float, tmp_path: Path
) -> None:
    first = write_identity_net(tmp_path / "first.onnx")
    second = write_scored_net(tmp_path / "second.onnx", 1.0, "0.0.2")
    shadow = write_scored_net(tmp_path / "shadow.onnx", -1.0)
    with stow_server() as pacs:
        settings = Settings.model_validate(
            {
                "models": (first, second),
                "inbox_model": inbox_model,
                "shadow": shadow,
                "shadow_share": 1.0,
                "device": "cpu",
                "readers": 1,
                "runners": 1,
                "inbox": tmp_path / "inbox",
                "inbox_results": "seg",
                "destinations": pacs.url,
            }
        )
        with TestClient(create_app(settings)) as client:
            post(client, related(mammogram(1)))
            assert comes_true(lambda: len(pacs.received) == 1)
            registry = opened(client).metrics.registry

            def compared() -> float | None:
                return registry.get_sample_value("mammoseg_shadow_score_difference_count")

            assert comes_true(lambda: compared() == shadowed)
    ((content,),) = pacs.received.values()
    assert f"identity {version}" in dcmread(BytesIO(content)).SoftwareVersions
