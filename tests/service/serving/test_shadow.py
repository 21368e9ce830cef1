"""A shadow model: its scores are compared and counted, and no answer knows of it."""

import asyncio
import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient

from service.app import create_app
from service.inference.contract import Spacing
from service.serving import shadow as shadow_module
from service.serving.shadow import Shadow
from service.settings import Settings
from tests.identity_net import identity_contract, write_identity_net, write_scored_net
from tests.service.api.conftest import opened, phantom_png
from tests.service.inbox.conftest import mammogram
from tests.waiting import HANG_S, comes_true

__all__ = ["phantom_png"]

pytestmark = [pytest.mark.integration, pytest.mark.usefixtures("borrowed_readers")]


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    folder = tmp_path_factory.mktemp("models")
    return write_identity_net(folder / "answers.onnx"), write_scored_net(
        folder / "shadow.onnx", -1.0, "0.0.9"
    )


@contextmanager
def shadowed(files: tuple[Path, Path], **more: Any) -> Iterator[TestClient]:
    common = {"device": "cpu", "readers": 1, "runners": 1, "shadow_share": 1.0}
    settings = Settings(model=files[0], shadow=files[1], **{**common, **more})
    with TestClient(create_app(settings)) as client:
        yield client


def shadow_of(client: TestClient) -> Shadow:
    shadow = opened(client).shadow
    assert shadow is not None
    return shadow


def value(client: TestClient, name: str, **labels: str) -> float:
    return opened(client).metrics.registry.get_sample_value(f"mammoseg_{name}", labels) or 0.0


def dropped(client: TestClient, reason: str) -> float:
    return value(client, "shadow_dropped_total", reason=reason)


def judged(client: TestClient) -> float:
    return value(client, "shadow_score_difference_count")


def test_answers_are_those_of_the_default_model_and_scores_are_compared(
    files: tuple[Path, Path], tmp_path: Path, phantom_png: bytes
) -> None:
    (tmp_path / "secret").write_text("seventeen letters")
    lines = tmp_path / "lines.jsonl"
    with shadowed(files, inference_log=lines, study_secret_file=tmp_path / "secret") as client:
        answer = client.post("/v1/segment", content=phantom_png).json()
        assert answer["model"]["id"] == "answers"
        assert answer["has_mask"]["score"] == 0.880797
        assert comes_true(lambda: judged(client) == 1)
        assert value(client, "shadow_images_total", lesion="answer") == 1
        # It is -0.61.
        assert value(client, "shadow_score_difference_bucket", le="-0.5") == 1
        client.post("/v1/segment", content=mammogram())
        assert comes_true(lambda: judged(client) == 2)
        assert comes_true(lambda: len(lines.read_text().splitlines()) == 4)
        # What the shadow finds is no image that came to an end.
        assert value(client, "model_images_total", model="shadow", outcome="no_lesion") == 0
    first, second, third, fourth = map(json.loads, lines.read_text().splitlines())
    assert [first["event"], second["event"]] == ["inference", "shadow"]
    assert second["image"] == first["image"] is not None
    assert fourth["study"] == third["study"] is not None
    assert (second["model_id"], second["answered_by"]) == ("shadow", "answers")
    assert (second["answered_score"], second["answered_sha256"]) == (
        first["result"]["score"],
        first["sha256"],
    )
    assert second["difference"] == pytest.approx(second["score"] - second["answered_score"])
    assert (second["decision"], second["answered_decision"]) == (False, True)


def test_nobody_can_ask_the_shadow(files: tuple[Path, Path], phantom_png: bytes) -> None:
    with shadowed(files) as client:
        assert client.post("/v1/segment?model=shadow", content=phantom_png).status_code == 404
        roles = {one["id"]: one["role"] for one in client.get("/v1/model").json()["models"]}
        assert roles == {"answers": "default", "shadow": "shadow"}


def test_the_images_of_a_study_are_offered_too_one_at_a_time(
    files: tuple[Path, Path], phantom_png: bytes
) -> None:
    with shadowed(files) as client:
        client.post("/v1/studies", files=[("a", phantom_png), ("b", phantom_png)])
        assert comes_true(lambda: judged(client) == 1)
        assert dropped(client, "busy") == 1


def test_of_a_share_of_none_no_image_is_judged(
    files: tuple[Path, Path], phantom_png: bytes
) -> None:
    with shadowed(files, shadow_share=0.0) as client:
        client.post("/v1/segment", content=phantom_png)
        assert shadow_of(client)._jobs.empty()
        assert shadow_of(client)._free.acquire(blocking=False)
        shadow_of(client)._free.release()


def test_a_share_is_met_by_chance(files: tuple[Path, Path]) -> None:
    with shadowed(files, shadow_share=0.25) as client:
        chosen = sum(shadow_of(client)._is_chosen() for _ in range(4000))
    assert 800 < chosen < 1200


def test_it_begins_once_the_answer_is_out(
    files: tuple[Path, Path], phantom_png: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    order: list[str] = []
    original = Shadow._judge

    def judge(self: Shadow, job: Any) -> None:
        order.append("shadow")
        original(self, job)

    monkeypatch.setattr(Shadow, "_judge", judge)
    with shadowed(files) as client:
        app = client.app

        async def told(scope: Any, receive: Any, send: Any) -> None:
            async def sending(message: Any) -> None:
                await send(message)
                if message["type"] == "http.response.body" and not message.get("more_body"):
                    # Long enough for a shadow that does not wait.
                    await asyncio.sleep(0.3)
                    order.append("answer")

            await app(scope, receive, sending)

        client._transport.app = told  # type: ignore[attr-defined]
        client.post("/v1/segment", content=phantom_png)
        assert comes_true(lambda: len(order) == 2)
    assert order == ["answer", "shadow"]


def test_while_images_are_in_work_it_waits_and_then_gives_up(
    files: tuple[Path, Path], phantom_png: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shadow_module, "PATIENCE_S", 0.3)
    with shadowed(files) as client:
        limiter = opened(client).limiter
        limiter._held += 1
        client.post("/v1/segment", content=phantom_png)
        assert comes_true(lambda: dropped(client, "busy") == 1)
        assert judged(client) == 0
        limiter._held -= 1
        client.post("/v1/segment", content=phantom_png)
        assert comes_true(lambda: judged(client) == 1)


def test_a_second_image_is_dropped_while_one_waits_and_no_answer_waits(
    files: tuple[Path, Path], phantom_png: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    entered, leave = threading.Event(), threading.Event()

    def judge(self: Shadow, job: Any) -> None:
        entered.set()
        assert leave.wait(HANG_S)

    monkeypatch.setattr(Shadow, "_judge", judge)
    with shadowed(files) as client:
        client.post("/v1/segment", content=phantom_png)
        assert entered.wait(HANG_S)
        for _ in range(3):
            assert client.post("/v1/segment", content=phantom_png).status_code == 200
        assert dropped(client, "busy") == 3
        leave.set()


@pytest.mark.parametrize(
    ("name", "changed", "reason"),
    [
        ("MAX_PIXELS", 100, "size"),
        ("SegmentOptions", lambda **_: 1 / 0, "failed"),
    ],
)
def test_what_it_cannot_judge_is_dropped_and_counted(
    name: str,
    changed: object,
    reason: str,
    files: tuple[Path, Path],
    phantom_png: bytes,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(shadow_module, name, changed)
    with shadowed(files) as client:
        for count in (1, 2):
            assert client.post("/v1/segment", content=phantom_png).status_code == 200
            assert comes_true(lambda count=count: dropped(client, reason) == count)  # type: ignore[misc]
        assert judged(client) == 0


def test_an_image_that_it_was_not_made_for_is_dropped_and_counted(
    tmp_path: Path, files: tuple[Path, Path], phantom_png: bytes
) -> None:
    contract = identity_contract(accepted_intents=("film",))
    picky = write_identity_net(tmp_path / "picky.onnx", contract)
    with shadowed((files[0], picky)) as client:
        assert client.post("/v1/segment", content=phantom_png).status_code == 200
        assert comes_true(lambda: dropped(client, "refused") == 1)


def test_a_finer_shadow_gets_no_image_that_was_read_at_half_its_resolution(
    tmp_path: Path, files: tuple[Path, Path], phantom_png: bytes
) -> None:
    finer = identity_contract(spacing=Spacing(working_mm=0.5, assumed_long_side_mm=240.0))
    path = write_identity_net(tmp_path / "finer.onnx", finer)
    with shadowed((files[0], path)) as client:
        findings = opened(client).segmenter.segment(phantom_png)
        whole = findings.mammogram
        halved = replace(whole, halved=True)
        shadow = shadow_of(client)
        assert shadow._unfit(whole) is None
        assert shadow._unfit(halved) == "resolution"


def test_the_service_ends_while_an_image_waits_for_its_moment(
    files: tuple[Path, Path], phantom_png: bytes
) -> None:
    with shadowed(files) as client:
        opened(client).limiter._held += 1
        client.post("/v1/segment", content=phantom_png)
        began = time.monotonic()
    assert time.monotonic() - began < HANG_S
