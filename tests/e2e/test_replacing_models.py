"""A model's file is replaced while requests come all the time: none is lost, each has one model."""

import json
import signal
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from service.inference.signature import sign
from service.inference.signature_path import signature_path
from tests.e2e.conftest import Service, serving
from tests.identity_net import identity_contract, write_identity_net, write_scored_net
from tests.service.api.conftest import phantom_png
from tests.service.inference.signed import new_key
from tests.waiting import comes_true

__all__ = ["phantom_png"]

pytestmark = [pytest.mark.e2e, pytest.mark.slow]

CALLERS = 3
PAUSE_S = 0.02
"""Of a caller between two requests: as long as one takes, so that one is nearly always under way,
and the processor is not theirs alone."""

WAIT_S = 300.0


class Load:
    """Callers that ask all the time, and what they were answered."""

    def __init__(self, url: str, body: bytes, query: str = "") -> None:
        self._url, self._body = f"{url}/v1/segment{query}", body
        self.answers: list[dict[str, Any]] = []
        self.failures: list[object] = []
        self._ends = threading.Event()
        self._threads = [threading.Thread(target=self._call) for _ in range(CALLERS)]

    def _call(self) -> None:
        with httpx.Client(timeout=WAIT_S) as client:
            while not self._ends.is_set():
                try:
                    answer = client.post(self._url, content=self._body)
                    answer.raise_for_status()
                except httpx.HTTPError as error:
                    self.failures.append(error)
                else:
                    self.answers.append(answer.json())
                self._ends.wait(PAUSE_S)

    def scores(self) -> Counter[tuple[str, float]]:
        """Return how many answers each pair of digest and score was in."""
        return Counter(
            (one["model"]["sha256"], one["has_mask"]["score"]) for one in tuple(self.answers)
        )

    @contextmanager
    def running(self) -> Iterator["Load"]:
        for thread in self._threads:
            thread.start()
        try:
            self.until_answered(5)
            yield self
        finally:
            self._ends.set()
            for thread in self._threads:
                thread.join()

    def until_answered(self, more: int) -> None:
        wanted = len(self.answers) + more
        assert comes_true(lambda: len(self.answers) >= wanted or bool(self.failures))
        assert self.failures == []


def said(service: Service, event: str) -> list[dict[str, Any]]:
    lines = [line for line in service.log.read_text().splitlines() if line.startswith("{")]
    return [told for told in map(json.loads, lines) if told.get("event") == event]


def digest(url: str, model: str | None = None) -> str:
    told = httpx.get(
        f"{url}/v1/model", params={} if model is None else {"model": model}, timeout=WAIT_S
    )
    return str(told.json()["sha256"])


def test_a_file_is_replaced_under_load_and_no_request_is_lost(
    tmp_path: Path, phantom_png: bytes
) -> None:
    path = write_identity_net(tmp_path / "net.onnx")
    with served(tmp_path, model=path) as service:
        old = digest(service.url)
        with Load(service.url, phantom_png).running() as load:
            write_scored_net(path, -1.0, "0.0.2")
            assert comes_true(lambda: digest(service.url) != old)
            new = digest(service.url)
            load.until_answered(2 * CALLERS)
            # And back, on a signal, which waits for nothing.
            write_scored_net(path, 1.0, "0.0.3")
            service.process.send_signal(signal.SIGHUP)
            assert comes_true(lambda: digest(service.url) not in (old, new))
            newest = digest(service.url)
            load.until_answered(2 * CALLERS)
        assert load.failures == []
        # Each answer is whole of one file: its score is the score of its digest.
        assert load.scores().keys() == {(old, 0.880797), (new, 0.268941), (newest, 0.731059)}
        assert comes_true(lambda: len(said(service, "model-closed")) == 2)
        assert [one["sha256"] for one in said(service, "model-closed")] == [old, new]
        replaced = said(service, "model-replaced")
        assert [(one["before"], one["sha256"]) for one in replaced] == [(old, new), (new, newest)]
        metrics = httpx.get(f"{service.url}/metrics").text
        (info,) = [line for line in metrics.splitlines() if line.startswith("mammoseg_model_info{")]
        assert newest in info
        assert 'mammoseg_model_replacements_total{model="net",outcome="replaced"} 2.0' in metrics


def served(folder: Path, **settings: object) -> AbstractContextManager[Service]:
    given = {"runners": 1, "readers": 2, "deadline_s": 300, **settings}
    return serving(folder, **{name: str(value) for name, value in given.items()})  # type: ignore[arg-type]


def broken_golden(path: Path) -> None:
    """A net whose golden tile does not come out as its contract says."""
    new = path.with_name("new")
    contract = identity_contract(version="0.0.7")
    golden = contract.golden.model_copy(update={"has_mask_logit": -2.0})
    write_identity_net(new, contract.model_copy(update={"golden": golden}))
    new.replace(path)


def no_model(path: Path) -> None:
    path.write_bytes(b"no model at all")


def cut_off(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-100])


def gone(path: Path) -> None:
    path.unlink()


@pytest.mark.long
def test_a_bad_new_file_is_refused_in_the_log_and_the_old_one_goes_on(
    tmp_path: Path, phantom_png: bytes
) -> None:
    path = write_identity_net(tmp_path / "net.onnx")
    with served(tmp_path, model=path) as service:
        old = digest(service.url)
        with Load(service.url, phantom_png).running() as load:
            for count, spoil in enumerate((broken_golden, no_model, gone, cut_off), 1):
                if spoil is cut_off:
                    write_scored_net(path, -1.0)
                spoil(path)
                service.process.send_signal(signal.SIGHUP)
                assert comes_true(lambda count=count: len(said(service, "model-refused")) >= count)  # type: ignore[misc]
                assert digest(service.url) == old
                load.until_answered(CALLERS)
            write_scored_net(path, -1.0)
            assert comes_true(lambda: digest(service.url) != old)
        assert load.failures == []
        reasons = [one["reason"] for one in said(service, "model-refused")]
        assert "the golden tile does not reproduce on cpu" in reasons[0]
        assert httpx.get(f"{service.url}/health/ready").status_code == 200


def test_with_a_key_only_a_signed_file_is_put_to_work(tmp_path: Path, phantom_png: bytes) -> None:
    key, path = new_key(tmp_path), write_identity_net(tmp_path / "net.onnx")
    signature_path(path).write_bytes(sign(path, path.read_bytes(), key))
    with served(tmp_path, model=path, model_key=key.with_suffix(".pub")) as service:
        old = digest(service.url)
        write_scored_net(path, -1.0)
        service.process.send_signal(signal.SIGHUP)
        assert comes_true(lambda: bool(said(service, "model-refused")))
        (refused,) = said(service, "model-refused")
        assert "is of other bytes than those" in refused["reason"]
        assert digest(service.url) == old
        # The signature alone changes now; a file that fits it is taken by itself.
        signature_path(path).write_bytes(sign(path, path.read_bytes(), key))
        assert comes_true(lambda: digest(service.url) != old)
        answer = httpx.post(f"{service.url}/v1/segment", content=phantom_png, timeout=WAIT_S)
        assert answer.json()["has_mask"]["score"] == 0.268941


@pytest.mark.long
def test_one_of_several_models_is_replaced_and_the_other_knows_nothing_of_it(
    tmp_path: Path, phantom_png: bytes
) -> None:
    first = write_identity_net(tmp_path / "first.onnx")
    second = write_scored_net(tmp_path / "second.onnx", -1.0)
    with served(tmp_path, models=f"{first},{second}") as service:
        before = digest(service.url), digest(service.url, "second")
        with Load(service.url, phantom_png, "?model=first").running() as load:
            write_scored_net(second, 1.0)
            assert comes_true(lambda: digest(service.url, "second") != before[1])
            load.until_answered(CALLERS)
        assert load.failures == []
        assert load.scores().keys() == {(before[0], 0.880797)}
        answer = httpx.post(
            f"{service.url}/v1/segment?model=second", content=phantom_png, timeout=WAIT_S
        )
        assert answer.json()["has_mask"]["score"] == 0.731059
