"""Reading what a training run saved."""

import hashlib
from pathlib import Path

import torch
from torch import Tensor, nn


def averaged_weights(path: Path) -> dict[str, Tensor]:
    """Return the averaged weights of a Lightning checkpoint, by their names in the net.

    Raises
    ------
    FileNotFoundError
        There is no such file.
    """
    stored = torch.load(path, map_location="cpu", weights_only=False)
    return {
        key.removeprefix("net."): value
        for key, value in stored["state_dict"].items()
        if key.startswith("net.")
    }


def digest_of(path: Path) -> str:
    """Return the SHA-256 of a file, hex.

    Raises
    ------
    FileNotFoundError
        There is no such file.
    """
    return hashlib.sha256(path.read_bytes()).hexdigest()


def start_from(net: nn.Module, path: Path) -> dict[str, str]:
    """Load the averaged weights of another run's checkpoint into a net, in place.

    Returns
    -------
    The file's path and SHA-256, for the run's folder.

    Raises
    ------
    FileNotFoundError
        There is no such file.
    ValueError
        It holds another net.
    """
    try:
        net.load_state_dict(averaged_weights(path))
    except RuntimeError as error:
        raise ValueError(f"{path} holds another net: {str(error).splitlines()[1]}") from error
    return {"checkpoint": str(path), "sha256": digest_of(path)}
