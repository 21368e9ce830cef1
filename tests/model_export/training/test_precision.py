import pytest
import torch

from model_export.training.precision import resolve

pytestmark = pytest.mark.unit


@pytest.mark.parametrize(
    ("capabilities", "precision"),
    [
        ({"avx2": True}, "32-true"),
        ({"avx512_f": True, "avx512_bf16": False}, "32-true"),
        ({"avx512_bf16": True}, "bf16-mixed"),
        ({"amx_bf16": True}, "bf16-mixed"),
    ],
)
def test_bfloat16_is_taken_only_where_the_processor_has_it(
    monkeypatch: pytest.MonkeyPatch, capabilities: dict[str, bool], precision: str
) -> None:
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: capabilities)
    assert resolve("auto", "cpu") == precision


@pytest.mark.parametrize(("major", "precision"), [(7, "32-true"), (8, "bf16-mixed")])
def test_on_a_gpu_its_generation_decides(
    monkeypatch: pytest.MonkeyPatch, major: int, precision: str
) -> None:
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda: (major, 0))
    assert resolve("auto", "cuda") == precision


def test_what_the_config_says_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cpu, "get_capabilities", dict)
    assert resolve("bf16-mixed", "cpu") == "bf16-mixed"


def test_the_capabilities_of_this_machine_are_known_by_these_names() -> None:
    assert {"avx512_bf16", "amx_bf16"} <= set(torch.cpu.get_capabilities())
