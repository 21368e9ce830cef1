from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from service.app import create_app
from service.inbox.sqlite import SqliteDatabase
from service.settings import Settings
from tests.broken_device import broken_segmenter
from tests.waiting import comes_true

pytestmark = pytest.mark.integration


def test_a_device_that_failed_is_told_by_code_and_never_in_its_own_words(
    identity_model: Path, phantom_png: bytes
) -> None:
    app = create_app(Settings(model=identity_model), broken_segmenter(identity_model))
    with TestClient(app) as client:
        assert client.get("/health/ready").json()["status"] == "ready"
        answers = [
            client.post("/v1/segment", content=phantom_png, headers={"Content-Type": "image/png"})
            for _ in range(2)
        ]
        ready, metrics = client.get("/health/ready"), client.get("/metrics")
        assert client.get("/health/live").status_code == 200
    for answer in answers:
        assert (answer.status_code, answer.json()["code"]) == (503, "device-failed")
        assert int(answer.headers["Retry-After"]) >= 1
    assert (ready.status_code, ready.json()["status"]) == (503, "device-failed")
    assert 'mammoseg_problems_total{code="device-failed"} 2.0' in metrics.text
    assert not any("illegal" in one.text for one in (*answers, ready, metrics))


def with_inbox(model: Path, folder: Path) -> Settings:
    """Settings whose inbox has somewhere to deliver to."""
    return Settings(
        model=model,
        destinations="http://127.0.0.1:9/dicom-web",
        inbox=folder / "inbox",
        device="cpu",
    )


def test_a_database_of_the_inbox_that_is_away_is_told_and_comes_back(
    identity_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = with_inbox(identity_model, tmp_path)
    with TestClient(create_app(settings)) as client:
        assert client.get("/health/ready").json()["status"] == "ready"
        monkeypatch.setattr(SqliteDatabase, "is_away", True)
        away = client.get("/health/ready")
        assert (away.status_code, away.json()["status"]) == (503, "inbox-database-away")
        monkeypatch.setattr(SqliteDatabase, "is_away", False)
        assert client.get("/health/ready").status_code == 200


def test_an_inbox_that_nothing_works_on_is_told_until_it_can_be_worked_on(
    identity_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = with_inbox(identity_model, tmp_path)
    monkeypatch.setattr("service.inbox.faults.FAULT_S", 0.05)
    lock = tmp_path / "inbox" / "worker.lock"
    # A folder of that name cannot be opened to write.
    lock.mkdir(parents=True, mode=0o700)
    (tmp_path / "inbox").chmod(0o700)
    with TestClient(create_app(settings)) as client:
        assert comes_true(lambda: client.get("/health/ready").status_code == 503)
        assert client.get("/health/ready").json()["status"] == "inbox-fails"
        lock.rmdir()
        assert comes_true(lambda: client.get("/health/ready").status_code == 200)
