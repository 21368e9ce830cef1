"""In which precision a step computes, where the config leaves it open."""

from typing import Literal

import torch

Precision = Literal["auto", "bf16-mixed", "32-true", "16-mixed"]


def resolve(precision: Precision, device: str) -> str:
    """Return what Lightning is told for "auto"; anything else stays as it is.

    bfloat16 on a GPU of compute capability 8 or above, and on a CPU that has instructions for it
    (AVX512-BF16 or AMX). Elsewhere it is emulated: a step that takes a second takes a minute.

    Parameters
    ----------
    device
        "cpu" or "cuda".
    """
    if precision != "auto":
        return precision
    return "bf16-mixed" if _has_bfloat16(device) else "32-true"


def device_of(devices: int | str) -> str:
    """Return the device that Lightning's own choice lands on: "cuda" where there is one."""
    return "cuda" if torch.cuda.is_available() and devices != 0 else "cpu"


def _has_bfloat16(device: str) -> bool:
    if device == "cuda":
        return torch.cuda.get_device_capability()[0] >= 8
    capabilities = torch.cpu.get_capabilities()
    return any(bool(capabilities.get(name)) for name in ("avx512_bf16", "amx_bf16"))
