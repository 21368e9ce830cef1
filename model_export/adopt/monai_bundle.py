"""A MONAI bundle: configs/metadata.json, configs/inference.json and models/model.ts."""

from collections.abc import Sequence
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from model_export.adopt.errors import AdoptError
from model_export.adopt.flags import Flags
from model_export.adopt.foreign import (
    Activation,
    Facts,
    Foreign,
    InputRange,
    Predictor,
    Shape,
    View,
)
from model_export.adopt.json_files import needed, read_json
from model_export.adopt.monai_config import arguments, component, pipeline

METADATA, INFERENCE = Path("configs/metadata.json"), Path("configs/inference.json")
MODELS = ("models/model.ts", "models/model.pt")

FOLLOWED = frozenset(("pixels", "activation"))
"""Flags that MONAI itself is asked with, too, where a bundle leaves them open."""

GEOMETRY = {
    "LoadImage", "EnsureChannelFirst", "AddChannel", "AsChannelFirst", "Orientation", "Spacing",
    "EnsureType", "ToTensor", "CastToType",
}  # fmt: skip
"""Transforms that bring a file to an array, which the service does itself."""


def recognises(path: Path) -> bool:
    """Say whether a folder is a bundle."""
    return path.is_dir() and (path / METADATA).is_file() and (path / INFERENCE).is_file()


def read(path: Path, flags: Flags) -> Foreign:
    """Read a bundle.

    Raises
    ------
    AdoptError
        It lacks a part, or does what is not read here; the message names it.
    """
    import torch

    from model_export.adopt.onnx_file import facts_of
    from model_export.adopt.torch_export import graph_of_script

    metadata, config = read_json(path / METADATA), read_json(path / INFERENCE)
    file = next((path / one for one in MODELS if (path / one).is_file()), None)
    if file is None:
        raise AdoptError(f"the bundle holds none of {', '.join(MODELS)}: export it (ckpt_export)")
    try:
        script = torch.jit.load(str(file), map_location="cpu").eval()  # type: ignore[no-untyped-call]
    except RuntimeError as error:
        raise AdoptError(f"{file.name} does not load as TorchScript") from error
    transforms = pipeline(config, "preprocessing")
    columns_first = _columns_first(transforms)
    inferer = component(config.get("inferer"), config)
    roi = _roi(inferer)
    channels = int(_format(metadata, "inputs", "image")["num_channels"])
    model = graph_of_script(script, channels, roi)
    seen = facts_of(model, flags.output)
    tile = None if roi is None else (roi[::-1] if columns_first else roi)
    # The inferer's blend goes before it, whoever says what it is.
    activation = _activation(pipeline(config, "postprocessing"), seen.outputs) or flags.activation
    pixels = _pixels(transforms)
    asked = pixels if pixels is not None and pixels.scale != 1.0 else None
    facts = replace(
        seen,
        # What the bundle says is not said of its other outputs.
        others=(),
        tile=tile,
        columns_first=columns_first,
        # Fixed numbers are of stored values, and nobody says how many bits those had.
        pixels=None if asked is not None else pixels,
        mean=None if asked is None else asked.mean,
        deviation=None if asked is None else asked.deviation,
        activation=activation,
        exclusive=activation == "softmax",
        # The inferer blends what the net answers; activations come after it.
        blend_logits=activation == "softmax" or (activation == "sigmoid" and seen.outputs == 1),
        class_names=_classes(metadata, seen.outputs),
        spacing_mm=_spacing(transforms),
        stride=None if tile is None else _stride(tile, inferer),
        placement="stepped",
        blend="gaussian-floor" if inferer.get("mode") == "gaussian" else "constant",
    )
    predictor = _predictor(script, transforms, inferer, facts, flags)
    why = "" if predictor else "monai is not installed"
    if facts.maps:
        predictor, why = None, "MONAI's inferer blends one map, and the net has several"
    name = str(metadata.get("name") or path.name)
    return Foreign("monai", name, model, facts, predictor, why, FOLLOWED)


def _format(metadata: dict[str, Any], side: str, name: str) -> dict[str, Any]:
    data = needed(metadata, "network_data_format", side, file="metadata.json")
    one = data.get(name) or next(iter(data.values()), None)
    if not isinstance(one, dict) or "num_channels" not in one:
        raise AdoptError(f"metadata.json lacks network_data_format.{side}.{name}.num_channels")
    return one


def _columns_first(transforms: Sequence[dict[str, Any]]) -> bool:
    """Say whether images lie on their side: MONAI's readers put x before y unless told not to."""
    for one in transforms:
        if one["_target_"] == "LoadImage":
            return one.get("reverse_indexing") is not False
    return True


def _roi(inferer: dict[str, Any]) -> Shape | None:
    kind = inferer.get("_target_")
    if kind == "SimpleInferer" or not inferer:
        return None
    if kind != "SlidingWindowInferer":
        raise AdoptError(
            f"the inferer is a {kind}: SlidingWindowInferer and SimpleInferer are read"
        )
    roi = inferer.get("roi_size")
    if not isinstance(roi, list) or len(roi) != 2:
        raise AdoptError(f"the inferer's roi_size is {roi}: two numbers are what a mammogram needs")
    return int(roi[0]), int(roi[1])


def _stride(tile: Shape, inferer: dict[str, Any]) -> Shape:
    overlap = inferer.get("overlap", 0.25)
    shares = overlap if isinstance(overlap, list) else [overlap, overlap]
    rows, columns = (max(1, int(a * (1 - float(b)))) for a, b in zip(tile, shares, strict=True))
    return rows, columns


def _pixels(transforms: Sequence[dict[str, Any]]) -> InputRange | None:
    """Return what the intensity transforms do together.

    Raises
    ------
    AdoptError
        There is one that is not known, or several that do not go together.
    """
    known: InputRange | None = None
    for one in transforms:
        kind = one["_target_"]
        if kind in GEOMETRY:
            continue
        if known is not None and not (
            kind == "NormalizeIntensity" and known.statistic != "z_score"
        ):
            raise AdoptError(f"{kind} after another intensity transform is not read here")
        if kind == "ScaleIntensity":
            known = _scaled(one)
        elif kind == "ScaleIntensityRange":
            known = _ranged(one)
        elif kind == "NormalizeIntensity":
            known = _normalized(one, known)
        else:
            raise AdoptError(f"inference.json prepares images with {kind}, which is not read here")
    return known


def _scaled(one: dict[str, Any]) -> InputRange:
    low, high = float(one.get("minv", 0.0)), float(one.get("maxv", 1.0))
    if one.get("factor") is not None:
        raise AdoptError("ScaleIntensity with a factor is not read here")
    return InputRange("min_max", mean=(-low / (high - low),), deviation=(1 / (high - low),))


def _ranged(one: dict[str, Any]) -> InputRange | None:
    """Return a fixed window; of 8-bit files it is all of a display's range."""
    low, high = float(one["a_min"]), float(one["a_max"])
    if (float(one.get("b_min", 0.0)), float(one.get("b_max", 1.0))) != (0.0, 1.0):
        raise AdoptError("ScaleIntensityRange to another range than 0 to 1 is not read here")
    if low == 0 and high in (255, 4095, 65535):
        return InputRange()
    raise AdoptError(
        f"ScaleIntensityRange from {low:g} to {high:g} counts stored values, which a display's "
        "window has changed: say what they are with --pixels LOW..HIGH on an ONNX file"
    )


def _normalized(one: dict[str, Any], known: InputRange | None) -> InputRange:
    if one.get("channel_wise") and isinstance(one.get("subtrahend"), list):
        raise AdoptError("NormalizeIntensity by channel is not read here")
    subtrahend, divisor = one.get("subtrahend"), one.get("divisor")
    if one.get("nonzero") and not (subtrahend is None and divisor is None):
        raise AdoptError("NormalizeIntensity by given numbers, of pixels above 0, is not read here")
    if subtrahend is None and divisor is None:
        over: Literal["image", "nonzero"] = "nonzero" if one.get("nonzero") else "image"
        return InputRange("z_score", over=over)
    return replace(
        known or InputRange(scale=65535.0),
        mean=(float(subtrahend or 0.0),),
        deviation=(float(divisor or 1.0),),
    )


def _activation(transforms: Sequence[dict[str, Any]], outputs: int) -> Activation | None:
    for one in transforms:
        if one["_target_"] == "Activations":
            return "softmax" if one.get("softmax") else "sigmoid" if one.get("sigmoid") else None
        if one["_target_"] == "AsDiscrete" and one.get("argmax") and outputs > 1:
            # The largest logit is the largest probability of a softmax.
            return "softmax"
    return None


def _classes(metadata: dict[str, Any], outputs: int) -> tuple[str, ...] | None:
    named = _format(metadata, "outputs", "pred").get("channel_def") or {}
    if int(_format(metadata, "outputs", "pred")["num_channels"]) != outputs:
        raise AdoptError(
            f"metadata.json says {_format(metadata, 'outputs', 'pred')['num_channels']} output "
            f"channel(s), the net has {outputs}"
        )
    names = tuple(str(named.get(str(index), "")) for index in range(outputs))
    return names if all(names) else None


def _spacing(transforms: Sequence[dict[str, Any]]) -> float | None:
    for one in transforms:
        if one["_target_"] == "Spacing":
            pixdim: Any = one.get("pixdim")
            sides = (
                [float(side) for side in pixdim] if isinstance(pixdim, list) else [float(pixdim)]
            )
            if abs(sides[0] - sides[min(1, len(sides) - 1)]) > 0.01 * sides[0]:
                raise AdoptError(f"the bundle's pixels of {sides} mm are no squares")
            return sides[0]
    return None


def _predictor(
    script: Any,
    transforms: Sequence[dict[str, Any]],
    inferer: dict[str, Any],
    facts: Facts,
    flags: Flags,
) -> Predictor | None:
    """Return MONAI's own transforms and inferer; None where it is not installed."""
    if find_spec("monai") is None:
        return None

    def predict(view: View) -> NDArray[np.float32]:
        import monai.inferers
        import monai.transforms
        import torch

        values = view.as_stored(flags.pixels if facts.mean is not None else None)
        image: Any = torch.from_numpy(values.T.copy() if facts.columns_first else values)[None]
        if facts.pixels is not None and facts.pixels.statistic == "display":
            # The files had 8 or 12 bits; what a display shows has 16.
            image = image / 65535.0
        for one in transforms:
            if one["_target_"] in GEOMETRY or one["_target_"] == "ScaleIntensityRange":
                continue
            image = getattr(monai.transforms, one["_target_"])(**arguments(one))(image)
        batch = torch.as_tensor(np.asarray(image))[None].repeat(1, facts.channels, 1, 1)
        infer = getattr(monai.inferers, inferer.get("_target_") or "SimpleInferer")
        with torch.no_grad():
            answer = infer(**arguments(inferer))(batch, script)
        if facts.activation == "softmax":
            answer = torch.softmax(answer, dim=1)
        elif facts.activation == "sigmoid":
            answer = torch.sigmoid(answer)
        classes = np.asarray(answer[0], np.float32)
        return classes.transpose(0, 2, 1) if facts.columns_first else classes

    return predict
