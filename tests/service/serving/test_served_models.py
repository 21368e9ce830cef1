"""Several models in one service: asked for by name, named in every answer."""

import json
import sys
import threading
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest
from fastapi.testclient import TestClient
from pydantic import ValidationError

from service.app import create_app
from service.errors import StartupError
from service.inference.model_file import model_id
from service.inference.signature import sign
from service.inference.signature_path import signature_path
from service.metrics import Metrics
from service.reading.pool import ReaderPool
from service.segmenter import Segmenter
from service.serving.served_model import ServedModel
from service.settings import Settings
from service.startup.models import open_models, open_segmenter
from service.telemetry.observed import ObservedSegmenter
from tests.identity_net import write_identity_net, write_scored_net
from tests.service.api.conftest import opened, phantom_png
from tests.service.inference.signed import new_key

__all__ = ["phantom_png"]

pytestmark = [pytest.mark.integration, pytest.mark.usefixtures("borrowed_readers")]

SCORES = {"first": 0.880797, "second": 0.268941}
"""Sigmoids of 2 and of -1."""


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("models")
    (folder / "second.md").write_text("# The second one\n")
    return {
        "first": write_identity_net(folder / "first.onnx"),
        "second": write_scored_net(folder / "second.onnx", -1.0, "0.0.2"),
    }


@pytest.fixture(scope="module")
def lines(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("lines") / "lines.jsonl"


@pytest.fixture(scope="module")
def client(files: dict[str, Path], lines: Path) -> Iterator[TestClient]:
    settings = Settings(
        models=tuple(files.values()), device="cpu", readers=1, runners=1, inference_log=lines
    )
    with TestClient(create_app(settings)) as client:
        yield client


@pytest.mark.parametrize(("query", "named"), [({}, "first"), *(({"model": n}, n) for n in SCORES)])
def test_the_model_that_is_asked_for_answers_and_is_named(
    query: dict[str, str],
    named: str,
    client: TestClient,
    phantom_png: bytes,
    lines: Path,
) -> None:
    answer = client.post("/v1/segment", params=query, content=phantom_png).json()
    assert answer["model"]["id"] == named
    assert answer["has_mask"]["score"] == SCORES[named]
    listed = {one["id"]: one for one in client.get("/v1/model").json()["models"]}
    assert answer["model"]["sha256"] == listed[named]["sha256"]
    picture = client.post(
        "/v1/segment", params={**query, "output": "overlay"}, content=phantom_png
    ).headers
    assert picture["Mammoseg-Model-Id"] == named
    assert picture["Mammoseg-Model-Sha256"] == listed[named]["sha256"]
    last = json.loads(lines.read_text().splitlines()[-1])
    assert (last["model_id"], last["sha256"]) == (named, listed[named]["sha256"])


def test_a_study_is_judged_by_the_model_that_is_asked_for(
    client: TestClient, phantom_png: bytes
) -> None:
    for named, score in SCORES.items():
        answer = client.post(
            "/v1/studies", params={"model": named}, files=[("a", phantom_png)]
        ).json()
        (image,) = answer["images"]
        assert image["result"]["model"]["id"] == named
        assert answer["study"]["score"] == pytest.approx(score, abs=1e-5)


@pytest.mark.parametrize("route", ["/v1/segment", "/v1/studies", "/v1/model"])
@pytest.mark.parametrize("name", ["third", "", "first.onnx", "FIRST", "x" * 9000])
def test_a_name_that_no_model_has_is_told_so_before_the_body_is_looked_at(
    route: str, name: str, client: TestClient
) -> None:
    method = "GET" if route == "/v1/model" else "POST"
    answer = client.request(method, route, params={"model": name}, content=b"no image")
    assert (answer.status_code, answer.json()["code"]) == (404, "unknown-model")
    assert "x" * 100 not in answer.text


@pytest.mark.parametrize("route", ["/v1/segment", "/v1/studies", "/v1/model"])
def test_two_names_are_none(route: str, client: TestClient) -> None:
    method = "GET" if route == "/v1/model" else "POST"
    answer = client.request(method, route, params={"model": ["first", "second"]}, content=b"x")
    assert (answer.status_code, answer.json()["code"]) == (400, "invalid-parameter")


def test_each_model_tells_its_own_contract_and_card(client: TestClient) -> None:
    first, second = (client.get("/v1/model", params={"model": name}).json() for name in SCORES)
    assert [one["role"] for one in first["models"]] == ["default", "served"]
    assert (first["contract"]["version"], second["contract"]["version"]) == ("0.0.1", "0.0.2")
    assert (first["model_card"], second["model_card"]) == (None, "# The second one\n")


def test_images_are_counted_by_model_and_models_are_told_with_their_digests(
    client: TestClient, phantom_png: bytes
) -> None:
    def counted(name: str, outcome: str) -> float:
        labels = {"model": name, "outcome": outcome}
        registry = opened(client).metrics.registry
        return registry.get_sample_value("mammoseg_model_images_total", labels) or 0.0

    before = [counted("second", "no_lesion"), counted("second", "refused"), counted("first", "x")]
    client.post("/v1/segment?model=second", content=phantom_png)
    client.post("/v1/segment?model=second", content=b"no image")
    after = [counted("second", "no_lesion"), counted("second", "refused"), counted("first", "x")]
    assert [after - before for before, after in zip(before, after, strict=True)] == [1, 1, 0]
    told = [line for line in client.get("/metrics").text.splitlines() if "model_info{" in line]
    digests = [one["sha256"] for one in client.get("/v1/model").json()["models"]]
    assert len(told) == len(digests) == 2
    assert all(any(digest in line for line in told) for digest in digests)


def test_nobodys_name_becomes_a_label(client: TestClient) -> None:
    client.post("/v1/segment?model=Mrs-Miller", content=b"x")
    assert "Miller" not in client.get("/metrics").text


def test_each_model_has_a_scheduler_of_its_own_and_all_share_the_readers(
    client: TestClient,
) -> None:
    models = opened(client).models
    first, second = (models.find(name).segmenter for name in SCORES)
    assert first.net is not second.net
    assert first.reader is second.reader


@pytest.mark.parametrize(
    ("stem", "id"),
    [("a", "a"), ("our model (2)", "our-model-2-"), ("ä", "-"), ("v1.2_x", "v1.2_x")],
)
def test_a_models_name_is_fit_for_headers_and_labels(stem: str, id: str) -> None:
    assert model_id(Path(f"/models/{stem}.onnx")) == id
    assert len(model_id(Path("/models") / ("x" * 200 + ".onnx"))) == 64


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"models": "a.onnx,b/a.onnx"}, "two models are called a"),
        ({"models": "a.onnx", "shadow": "b/a.onnx"}, "two models are called a"),
        ({"models": "a.onnx", "model": "b.onnx"}, "MODEL or MODELS, not both"),
        ({"models": "a.onnx,b.onnx", "inbox_model": "c"}, "INBOX_MODEL names no model"),
        ({"models": " , "}, "must not be empty"),
        ({"model_key": ""}, "must not be empty"),
        ({"shadow": " "}, "must not be empty"),
        ({"models": ",".join(f"{n}.onnx" for n in range(17))}, "at most 16"),
        ({"models": "a.onnx,b.onnx,c.onnx,d.onnx", "memory_mib": 2048, "runners": 4}, "4 models"),
    ],
)
def test_settings_that_do_not_go_together_end_the_start(given: dict[str, str], said: str) -> None:
    with pytest.raises(ValidationError, match=said):
        Settings.model_validate({"device": "cpu", "runners": 1, **given})


def test_every_model_and_the_shadow_have_memory_in_the_plan() -> None:
    def left_mib(**given: object) -> int:
        plan = Settings.model_validate({"runners": 1, "readers": 1, "memory_mib": 4096, **given})
        return plan.memory.bodies_mib + plan.memory.pixels_mib

    one, two = left_mib(models="a.onnx"), left_mib(models="a.onnx,b.onnx")
    assert one - two == pytest.approx(150 + 68, abs=1)
    assert one - left_mib(models="a.onnx", shadow="c.onnx") == pytest.approx(150 + 68 + 256, abs=1)


def test_a_replaced_version_answers_who_has_it_and_ends_with_the_last_of_them(
    files: dict[str, Path],
) -> None:
    metrics, closed = Metrics(), []

    def opened_file(name: str) -> Segmenter:
        segmenter = open_segmenter(Settings(model=files[name], device="cpu", runners=1, readers=1))
        segmenter.reader.close()
        close = segmenter.net.close

        def closing() -> None:
            closed.append(name)
            close()

        segmenter.net.close = closing  # type: ignore[method-assign]
        return segmenter

    model = ServedModel(
        files["first"], opened_file("first"), lambda each: ObservedSegmenter(each, metrics)
    )
    with model.version() as one:
        with model.version() as other:
            model.replace(opened_file("second"))
            assert one.segmenter is other.segmenter is not model.segmenter
        assert closed == []
    assert closed == ["first"]
    with model.version() as newest:
        assert newest.segmenter is model.segmenter
    model.close()
    assert closed == ["first", "second"]


def test_with_a_key_no_unsigned_model_starts_neither_the_default_nor_another_nor_the_shadow(
    tmp_path: Path,
) -> None:
    key = new_key(tmp_path)
    signed, unsigned = (write_identity_net(tmp_path / f"{name}.onnx") for name in ("good", "bad"))
    signature_path(signed).write_bytes(sign(signed, signed.read_bytes(), key))
    common = {"device": "cpu", "runners": 1, "readers": 1}
    keys = (key.with_suffix(".pub"),)
    for given in (
        {"model": unsigned},
        {"models": (signed, unsigned)},
        {"model": signed, "shadow": unsigned},
        {},
    ):
        with pytest.raises(StartupError, match="cannot read the signature"):
            open_models(Settings.model_validate({**common, "model_key": keys, **given}))
    open_models(Settings(**common, model_key=keys, model=signed)).close()  # type: ignore[arg-type]
    with pytest.raises(StartupError, match="cannot read the public key"):
        open_models(Settings(**common, model_key=(tmp_path / "no.pub",), model=signed))  # type: ignore[arg-type]


def test_where_no_reader_starts_the_model_is_let_go(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken = partial(ReaderPool, command=(sys.executable, "-c", ""))
    monkeypatch.setattr("service.startup.models.ReaderPool", broken)
    model = write_identity_net(tmp_path / "model.onnx")
    others = set(threading.enumerate())
    with pytest.raises(StartupError, match="do not start"):
        open_segmenter(Settings(model=model, device="cpu", runners=2, readers=1))
    assert set(threading.enumerate()) <= others
