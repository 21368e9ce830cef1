from pathlib import Path

import pytest

from service.inference.device import nvidia_device_visible, resolve_device

pytestmark = pytest.mark.unit


@pytest.mark.parametrize("choice", ["cpu", "cuda", "tensorrt"])
def test_an_explicit_choice_is_never_changed(choice: str) -> None:
    assert resolve_device(choice) == choice  # type: ignore[arg-type]


def test_auto_follows_what_is_visible() -> None:
    assert resolve_device("auto") == ("cuda" if nvidia_device_visible() else "cpu")


@pytest.mark.parametrize("hidden", ["", "-1", " "])
def test_a_hidden_device_is_not_visible(monkeypatch: pytest.MonkeyPatch, hidden: str) -> None:
    monkeypatch.setattr(Path, "glob", lambda *_: iter([Path("/dev/nvidia0")]))
    assert nvidia_device_visible()
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", hidden)
    assert not nvidia_device_visible()
