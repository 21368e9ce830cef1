"""Weights from a checkpoint, without running what a pickle may hold."""

import importlib
from pathlib import Path
from typing import Any

import numpy as np
import torch

from model_export.adopt.errors import AdoptError


def load_checkpoint(path: Path) -> dict[str, Any]:
    """Read a checkpoint of tensors, numbers and texts.

    Raises
    ------
    AdoptError
        It cannot be read, or holds other Python objects, which would be run.
    """
    multiarray: Any = importlib.import_module("numpy._core.multiarray")
    numbers: list[Any] = [
        multiarray.scalar,
        multiarray._reconstruct,
        np.ndarray,
        np.dtype,
        *(type(np.dtype(kind)) for kind in (np.float64, np.float32, np.int64, np.int32, np.bool_)),
    ]
    try:
        if path.suffix == ".safetensors":
            from safetensors.torch import load_file

            stored: Any = load_file(path)
        else:
            with torch.serialization.safe_globals(numbers):
                stored = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:
        raise AdoptError(
            f"{path.name} cannot be read as weights ({type(error).__name__}): it is damaged, or "
            "holds Python objects beside the weights, which are not run here. Save it again as "
            "torch.save(model.state_dict(), ...)."
        ) from error
    if not isinstance(stored, dict):
        raise AdoptError(f"{path.name} holds no dictionary of weights")
    return stored


def fill(net: torch.nn.Module, weights: dict[str, Any], file: str) -> torch.nn.Module:
    """Put weights into a net and return it in evaluation mode.

    Raises
    ------
    AdoptError
        They are another net's.
    """
    try:
        net.load_state_dict(weights)
    except (RuntimeError, TypeError) as error:
        lines = str(error).splitlines()
        said = lines[1].strip() if len(lines) > 1 else lines[0]
        raise AdoptError(f"{file} holds another net's weights: {said[:200]}") from error
    return net.eval()
