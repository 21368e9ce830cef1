"""deploy/ray: the service's own application, by a replica of Ray Serve."""

import importlib
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml
from fastapi.testclient import TestClient

from service.app import create_app
from service.errors import StartupError
from service.settings import Settings
from tests.dicom_files import dicom_file, phantom
from tests.identity_net import write_identity_net
from tests.ports import free_port
from tests.ray import cluster

pytestmark = [pytest.mark.e2e, pytest.mark.heavy]

ray = pytest.importorskip("ray", reason="needs the extra ray")
serve = pytest.importorskip("ray.serve", reason="needs the extra ray")

FOLDER = Path(__file__).parents[2] / "deploy" / "ray"
PORT = free_port()


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    model = write_identity_net(tmp_path_factory.mktemp("model") / "identity.onnx")
    return {
        "MAMMOSEG_MODEL": str(model),
        "MAMMOSEG_DEVICE": "cpu",
        "MAMMOSEG_ALLOW_ANONYMOUS": "true",
        "PYTHONPATH": str(FOLDER),
    }


@pytest.fixture(scope="module")
def application() -> Iterator[Any]:
    sys.path.insert(0, str(FOLDER))
    yield importlib.import_module("mammoseg_serve")
    sys.path.remove(str(FOLDER))


@pytest.fixture(scope="module")
def served(environment: dict[str, str], application: Any) -> Iterator[httpx.Client]:
    ray.init(
        address="local",
        num_cpus=2,
        object_store_memory=cluster.MEMORY,
        include_dashboard=False,
        log_to_driver=False,
        runtime_env={"env_vars": environment},
    )
    try:
        serve.start(http_options={"host": "127.0.0.1", "port": PORT})
        serve.run(
            application.Mammograms.options(ray_actor_options={"num_cpus": 1}).bind(),
            name="mammoseg",
        )
        with httpx.Client(base_url=f"http://127.0.0.1:{PORT}", timeout=120) as client:
            yield client
    finally:
        serve.shutdown()
        ray.shutdown()


def test_a_replica_answers_what_the_service_answers(
    served: httpx.Client, environment: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    file = dicom_file(phantom(12), ImagerPixelSpacing=[1, 1])
    sent: dict[str, Any] = {"content": file, "headers": {"Content-Type": "application/dicom"}}
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    with TestClient(create_app(Settings())) as client:
        for path in ("/v1/segment", "/v1/segment?output=mask", "/v1/segment?output=nothing"):
            ours, theirs = client.post(path, **sent), served.post(path, **sent)
            assert theirs.status_code == ours.status_code
            assert theirs.headers["content-type"] == ours.headers["content-type"]
            if "json" not in ours.headers["content-type"]:
                assert theirs.content == ours.content
                continue
            said, wanted = theirs.json(), ours.json()
            for document in (said, wanted):
                document.pop("timing_ms", None)
                document.pop("request_id", None)
            assert said == wanted
        assert served.get("/openapi.json").json() == client.get("/openapi.json").json()
    bad = served.post("/v1/segment", content=b"x", headers={"Content-Type": "application/dicom"})
    assert bad.status_code == 400
    assert bad.headers["content-type"] == "application/problem+json"
    assert served.get("/health/ready").json()["status"] == "ready"


@pytest.mark.usefixtures("served")
def test_a_replica_is_healthy() -> None:
    (deployment,) = serve.status().applications["mammoseg"].deployments.values()
    assert deployment.status == "HEALTHY"
    assert deployment.replica_states == {"RUNNING": 1}


def test_a_replica_asks_who_it_is_as_on_every_address_but_the_loopback(application: Any) -> None:
    settings = application.replica_settings(Settings(), 1.0, 0.0)
    with pytest.raises(StartupError, match="MAMMOSEG_ALLOW_ANONYMOUS"):
        create_app(settings)


def test_a_replica_has_no_inbox(application: Any) -> None:
    with pytest.raises(StartupError, match="no inbox"):
        application.replica_settings(Settings(destinations="https://pacs.example/dicom"), 1, 0)


@pytest.mark.parametrize(
    ("cpus", "gpus", "runners", "device"),
    [(0.5, 0.0, 1, "cpu"), (4.0, 0.0, 4, "cpu"), (1.0, 0.5, 1, "cuda")],
)
def test_a_replica_works_with_its_share(
    application: Any, cpus: float, gpus: float, runners: int, device: str
) -> None:
    made = application.replica_settings(Settings(device="auto"), cpus, gpus)
    assert (made.runners, made.memory.readers, made.device) == (runners, runners, device)


def test_a_device_that_failed_is_no_healthy_replica(application: Any) -> None:
    class Failed:
        class state:
            class services:
                class segmenter:
                    class net:
                        failed = True

    check = application.Mammograms.func_or_class.check_health
    with pytest.raises(application.ReplicaFailed):
        check(type("Replica", (), {"app": Failed})())


def test_the_configuration_is_one_that_ray_takes(application: Any) -> None:
    from ray.serve.schema import ServeDeploySchema

    told = yaml.safe_load((FOLDER / "serve.yaml").read_text("utf-8"))
    taken = ServeDeploySchema.model_validate(told)
    (app,) = taken.applications
    assert app.import_path == "mammoseg_serve:application"
    assert [one.name for one in app.deployments] == [application.Mammograms.name]
    assert json.dumps(told)
