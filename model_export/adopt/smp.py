"""Segmentation Models PyTorch: a folder of `save_pretrained`, or weights and an architecture."""

import re
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from model_export.adopt.errors import AdoptError
from model_export.adopt.flags import RANGES, Flags
from model_export.adopt.foreign import Activation, Facts, Foreign, InputRange, Predictor, View
from model_export.adopt.json_files import read_json

MULTIPLE = 32
"""Sides that an encoder of five halvings takes; views are padded to it, in black."""

IMAGENET = re.compile(r"(resnet|resnext|densenet|vgg|efficientnet-|mobilenet_v2|mit_b|se_res)")
"""Encoders whose weights of ImageNet were trained on its means and deviations."""

WEIGHTS = ("model.safetensors", "pytorch_model.bin")
ENDINGS = (".pth", ".pt", ".ckpt", ".bin", ".safetensors")
FOLLOWED = frozenset(("pixels", "mean", "deviation", "activation"))
"""Flags that plain smp is asked with, too: a checkpoint says none of them."""

PREFIXES = ("model.", "net.", "module.")
"""What trainers put before the names of weights."""


def recognises(path: Path) -> bool:
    """Say whether a path is a folder of `save_pretrained`, or weights alone."""
    if path.is_dir():
        config = path / "config.json"
        return config.is_file() and "encoder_name" in config.read_text("utf-8", "replace")
    from model_export.adopt.torch_files import recognises_script

    return path.is_file() and path.suffix in ENDINGS and not recognises_script(path)


def read(path: Path, flags: Flags) -> Foreign:
    """Read a checkpoint.

    Raises
    ------
    AdoptError
        smp is not installed, or the weights are not of the architecture.
    """
    smp = _library()
    from model_export.adopt.onnx_file import facts_of
    from model_export.adopt.torch_export import graph_of
    from model_export.adopt.weights import fill, load_checkpoint

    folder = path.is_dir()
    file = next((path / one for one in WEIGHTS if (path / one).is_file()), None) if folder else path
    if file is None:
        raise AdoptError(f"{path.name} holds none of {', '.join(WEIGHTS)}")
    weights = _bare(load_checkpoint(file))
    config = read_json(path / "config.json") if folder else _config(flags, weights)
    kind = str(config.pop("_model_class", "Unet"))
    preset = config.get("encoder_weights")
    options = {key: value for key, value in config.items() if not key.startswith("_")}
    build = getattr(smp, kind, None)
    if build is None or not kind[:1].isupper():
        raise AdoptError(f"smp has no architecture {kind}")
    # Nothing is downloaded: the checkpoint's own weights follow.
    net = fill(build(**(options | {"encoder_weights": None})), weights, file.name)
    model = graph_of(net, int(config.get("in_channels", 3)), flags.tile_shape)
    seen = facts_of(model)
    pixels = _pixels(str(config.get("encoder_name")), preset, seen.channels)
    facts = Facts(
        channels=seen.channels,
        outputs=seen.outputs,
        tile=flags.tile_shape,
        pixels=pixels,
        activation=_activation(config.get("activation")),
        exclusive=config.get("activation") in ("softmax", "softmax2d"),
    )
    shown = flags.pixels and RANGES.get(flags.pixels)
    predictor = _predictor(net, pixels or shown or None, facts, flags)
    name = path.name if folder else path.stem
    why = "--pixels LOW..HIGH has no counterpart in smp"
    return Foreign("smp", name, model, facts, predictor, "" if predictor else why, FOLLOWED)


def _library() -> Any:
    if find_spec("segmentation_models_pytorch") is None:
        raise AdoptError("this is read by segmentation-models-pytorch, which is not installed")
    _declare_operators()
    import segmentation_models_pytorch as smp

    return smp


def _declare_operators() -> None:
    """Let a torchvision built for CUDA load beside a torch that is not.

    It registers shapes of two operators which its own library, that then does not load, would
    define. No segmentation net uses them.
    """
    import torch

    for name in ("nms", "qnms"):
        if not hasattr(torch.ops.torchvision, name):
            torch.library.define(
                f"torchvision::{name}", "(Tensor dets, Tensor scores, float threshold) -> Tensor"
            )


def _bare(stored: dict[str, Any]) -> dict[str, Any]:
    """Return the weights of a checkpoint, without what a trainer laid around them."""
    weights = stored.get("state_dict", stored.get("model_state_dict", stored))
    if not isinstance(weights, dict):
        raise AdoptError("the checkpoint holds no dictionary of weights")
    for prefix in PREFIXES:
        if any(key.startswith(f"{prefix}encoder.") for key in weights):
            own = {key: value for key, value in weights.items() if key.startswith(prefix)}
            return {key.removeprefix(prefix): value for key, value in own.items()}
    return weights


def _config(flags: Flags, weights: dict[str, Any]) -> dict[str, Any]:
    """Return what builds the net of weights alone."""
    if flags.architecture is None:
        raise AdoptError(
            "these are weights alone: say their smp architecture and encoder, as "
            "--architecture Unet:resnet34"
        )
    kind, _, encoder = flags.architecture.partition(":")
    if not kind or not encoder:
        raise AdoptError(f"--architecture {flags.architecture}: as Unet:resnet34")
    head = weights.get("segmentation_head.0.weight")
    first = next((one for one in weights.values() if getattr(one, "ndim", 0) == 4), None)
    if head is None or first is None:
        raise AdoptError("the weights have no segmentation head: they are no smp net's")
    return {
        "_model_class": kind,
        "encoder_name": encoder,
        "in_channels": int(first.shape[1]),
        "classes": int(head.shape[0]),
    }


def _pixels(encoder: str, preset: object, channels: int) -> InputRange | None:
    """Return the preset of pretrained encoders; None where nobody says that it was used."""
    if preset is None or channels != 3:
        return None
    # smp itself would look its presets up on a hub.
    return RANGES["imagenet"] if preset == "imagenet" and IMAGENET.match(encoder) else None


def _activation(named: object) -> Activation | None:
    if named in ("sigmoid", "softmax", "softmax2d"):
        return "none"
    return None


def _predictor(net: Any, pixels: InputRange | None, facts: Facts, flags: Flags) -> Predictor | None:
    """Return plain smp: the whole view at once, prepared by NumPy."""
    if pixels is None:
        return None

    def predict(view: View) -> NDArray[np.float32]:
        import torch

        rows, columns = view.pixels.shape
        values = view.pixels.astype(np.float32) / np.float32(65535.0)
        if pixels.statistic == "min_max":
            values = (values - values.min()) / np.ptp(values)
        elif pixels.statistic == "z_score":
            values = (values - values.mean()) / values.std()
        values = np.pad(values, ((0, -rows % MULTIPLE), (0, -columns % MULTIPLE)))
        image = np.repeat(values[None] * np.float32(pixels.scale), facts.channels, axis=0)
        mean, deviation = (
            np.array((flag and flag.split(",")) or own, np.float32)[:, None, None]
            for flag, own in ((flags.mean, pixels.mean), (flags.deviation, pixels.deviation))
        )
        with torch.no_grad():
            answer = net(torch.from_numpy(((image - mean) / deviation)[None].astype(np.float32)))
        logits = answer[0] if isinstance(answer, tuple) else answer
        kind = facts.activation or flags.activation
        if kind == "sigmoid":
            logits = torch.sigmoid(logits)
        elif kind == "softmax":
            logits = torch.softmax(logits, dim=1)
        probability: NDArray[np.float32] = logits[0, :, :rows, :columns].numpy()
        return probability

    return predict
