"""A 2-D results folder of nnU-Net v2: plans.json, dataset.json and the folds' checkpoints."""

import re
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from model_export.adopt.errors import AdoptError
from model_export.adopt.flags import Flags
from model_export.adopt.foreign import Facts, Foreign, InputRange, Predictor, View
from model_export.adopt.json_files import needed, read_json

FILES = ("dataset.json", "plans.json")
CHECKPOINTS = ("checkpoint_final.pth", "checkpoint_best.pth")
NETWORKS = re.compile(
    r"dynamic_network_architectures\.architectures\.unet\.(PlainConvUNet|Residual\w*UNet)"
)
IMPORTABLE = re.compile(r"torch\.nn(\.modules\.\w+)?\.\w+")
"""What a plan may have imported."""

PICTURES = (".png", ".bmp", ".tif", ".tiff", ".jpg", ".jpeg")
"""Of files that say no spacing nnU-Net takes 1."""

FOLLOWED = frozenset(("pixels", "mirroring"))
"""Flags that `nnUNetPredictor` is asked with, too."""

EIGHT_BITS = "RGBTo01Normalization"
"""Divides by 255, and takes no other files than those of 8 bits."""

STEP = 0.5
"""Of a patch from tile to tile, nnU-Net's own."""


def recognises(path: Path) -> bool:
    """Say whether a folder holds nnU-Net's results."""
    return path.is_dir() and all((path / name).is_file() for name in FILES)


def read(path: Path, flags: Flags) -> Foreign:
    """Read a results folder; folds are averaged, as nnU-Net averages them.

    Raises
    ------
    AdoptError
        It is of a configuration that a grey 2-D image cannot fill, or of a net that is not known.
    """
    if find_spec("dynamic_network_architectures") is None:
        raise AdoptError("this is read by nnunetv2's networks, which are not installed: nnunetv2")
    from model_export.adopt.torch_export import graph_of

    plans, dataset = (read_json(path / name) for name in FILES[::-1])
    checkpoints = _checkpoints(path)
    first = checkpoints[0]
    name = str(needed(first, "init_args", "configuration", file="the checkpoint"))
    plan = _configuration(plans, name)
    names, regions = _labels(dataset)
    channels = len(dataset.get("channel_names") or dataset.get("modality") or ())
    tile = _patch(plan, plans)
    outputs = len(names)
    nets = [_net(plan, channels, outputs, one["network_weights"]) for one in checkpoints]
    axes = first.get("inference_allowed_mirroring_axes") if flags.mirroring else None
    model = graph_of(_averaged(nets, axes), channels, tile)
    facts = Facts(
        channels=channels,
        outputs=outputs,
        tile=tile,
        pixels=_pixels(plan),
        region="nonzero",
        activation="sigmoid" if regions else "softmax",
        exclusive=not regions,
        class_names=names,
        spacing_mm=_spacing(plan, dataset),
        stride=(max(1, int(tile[0] * STEP)), max(1, int(tile[1] * STEP))),
        placement="even",
        blend="gaussian",
        # Logits are averaged, then the softmax is taken.
        blend_logits=not regions or outputs == 1,
    )
    predictor = _predictor(plans, dataset, name, nets, checkpoints, plan, flags)
    why = "" if predictor else "nnunetv2 is not installed"
    known_as = str(dataset.get("name") or path.name)
    return Foreign("nnunet", known_as, model, facts, predictor, why, FOLLOWED)


def _checkpoints(path: Path) -> list[dict[str, Any]]:
    from model_export.adopt.weights import load_checkpoint

    folds = sorted(path.glob("fold_*"))
    for name in CHECKPOINTS:
        found = [fold / name for fold in folds if (fold / name).is_file()]
        if found:
            return [load_checkpoint(one) for one in found]
    raise AdoptError(f"{path.name} holds no fold_N/{CHECKPOINTS[0]}")


def _configuration(plans: dict[str, Any], name: str) -> dict[str, Any]:
    """Return a configuration with what it inherits."""
    own = dict(needed(plans, "configurations", name, file="plans.json"))
    parent = own.pop("inherits_from", None)
    return own if parent is None else _configuration(plans, str(parent)) | own


def _labels(dataset: dict[str, Any]) -> tuple[tuple[str, ...], bool]:
    """Return the names of the output's channels, and whether they are regions that overlap."""
    labels = dict(needed(dataset, "labels", file="dataset.json"))
    regions = any(isinstance(value, list) and len(value) > 1 for value in labels.values())
    if regions:
        return tuple(name for name in labels if name != "background"), True
    ordered = sorted(
        ((name, value) for name, value in labels.items() if name != "ignore"),
        key=lambda one: int(one[1][0] if isinstance(one[1], list) else one[1]),
    )
    return tuple(name for name, _ in ordered), False


def _patch(plan: dict[str, Any], plans: dict[str, Any]) -> tuple[int, int]:
    patch = [int(one) for one in needed(plan, "patch_size", file="plans.json")]
    if len(patch) != 2:
        raise AdoptError(f"the configuration is {len(patch)}-D: a mammogram needs one of 2-D")
    forward = list(plans.get("transpose_forward", (0, 1, 2)))
    if forward != sorted(forward):
        raise AdoptError(f"the plans turn the axes to {forward}: only images as they lie are read")
    return patch[0], patch[1]


def _net(plan: dict[str, Any], channels: int, outputs: int, weights: dict[str, Any]) -> Any:
    """Build one fold's net; nothing that a plan names is imported but torch.nn's own."""
    import pydoc

    from model_export.adopt.weights import fill

    if "architecture" not in plan:
        raise AdoptError(
            "the plans are of nnU-Net before 2.4, which wrote no architecture: plan the "
            "experiment again with a newer one, and keep the weights"
        )
    made = needed(plan, "architecture", file="plans.json")
    named = str(needed(made, "network_class_name", file="plans.json"))
    if NETWORKS.fullmatch(named) is None:
        raise AdoptError(f"the net is a {named}: PlainConvUNet and Residual*UNet are read")
    kind: Any = pydoc.locate(named)
    options = dict(needed(made, "arch_kwargs", file="plans.json"))
    for key in made.get("_kw_requires_import", ()):
        if options.get(key) is None:
            continue
        if IMPORTABLE.fullmatch(str(options[key])) is None:
            raise AdoptError(f"the plans want {options[key]} imported")
        options[key] = pydoc.locate(str(options[key]))
    if kind is None:
        raise AdoptError(f"there is no {named} in dynamic_network_architectures: update nnunetv2")
    options["deep_supervision"] = False
    net = kind(input_channels=channels, num_classes=outputs, **options)
    return fill(net, weights, "the checkpoint")


def _averaged(nets: Sequence[Any], axes: Sequence[int] | None) -> Any:
    """Return one module that answers with the mean of folds, and of mirror images."""
    import itertools

    import torch

    turns = [
        [axis + 2 for axis in chosen]
        for count in range(1, len(axes or ()) + 1)
        for chosen in itertools.combinations(axes or (), count)
    ]

    class Averaged(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.nets = torch.nn.ModuleList(nets)

        def forward(self, image: torch.Tensor) -> torch.Tensor:
            answers = []
            for net in self.nets:
                answers.append(net(image))
                answers += [torch.flip(net(torch.flip(image, turn)), turn) for turn in turns]
            return torch.stack(answers).mean(dim=0)

    return nets[0] if len(nets) == 1 and not turns else Averaged().eval()


def _pixels(plan: dict[str, Any]) -> InputRange | None:
    """Return how pixels are normalised: over the box of what is not 0, before any resampling."""
    schemes = {str(one) for one in needed(plan, "normalization_schemes", file="plans.json")}
    if len(schemes) > 1:
        raise AdoptError(f"the channels are normalised in several ways: {', '.join(schemes)}")
    (scheme,) = schemes
    masked = any(plan.get("use_mask_for_norm", ()))
    over: Literal["image", "nonzero"] = "nonzero" if masked else "image"
    if scheme == "ZScoreNormalization":
        return InputRange("z_score", "nonzero", over, "source")
    if scheme == "RescaleTo01Normalization":
        return InputRange("min_max", "nonzero", "image", "source")
    if scheme == EIGHT_BITS:
        return InputRange(region="nonzero")
    if scheme == "NoNormalization":
        # Pixels go in as the files had them, which nobody says.
        return None
    raise AdoptError(f"{scheme} is not read here: a mammogram has no fixed scale as CT has")


def _spacing(plan: dict[str, Any], dataset: dict[str, Any]) -> float | None:
    spacing = [float(one) for one in needed(plan, "spacing", file="plans.json")]
    if all(one == 1.0 for one in spacing) and dataset.get("file_ending") in PICTURES:
        return None
    if abs(spacing[0] - spacing[-1]) > 0.01 * spacing[0]:
        raise AdoptError(f"the plans' pixels of {spacing} mm are no squares")
    return spacing[-1]


def _predictor(
    plans: dict[str, Any],
    dataset: dict[str, Any],
    configuration: str,
    nets: Sequence[Any],
    checkpoints: Sequence[dict[str, Any]],
    plan: dict[str, Any],
    flags: Flags,
) -> Predictor | None:
    """Return `nnUNetPredictor`; None where nnunetv2 is not installed."""
    if find_spec("nnunetv2") is None:
        return None
    in_mm = _spacing(plan, dataset) is not None
    colours = EIGHT_BITS in needed(plan, "normalization_schemes", file="plans.json")

    def predict(view: View) -> NDArray[np.float32]:
        import torch
        from nnunetv2.inference.predict_from_raw_data import nnUNetPredictor
        from nnunetv2.utilities.plans_handling.plans_handler import PlansManager

        manager = PlansManager(plans)
        predictor = nnUNetPredictor(
            tile_step_size=STEP,
            use_gaussian=True,
            use_mirroring=flags.mirroring,
            perform_everything_on_device=False,
            device=torch.device("cpu"),
            allow_tqdm=False,
        )
        predictor.manual_initialization(
            nets[0],
            manager,
            manager.get_configuration(configuration),
            [one["network_weights"] for one in checkpoints],
            dataset,
            str(checkpoints[0].get("trainer_name", "nnUNetTrainer")),
            checkpoints[0].get("inference_allowed_mirroring_axes"),
        )
        channels = len(dataset.get("channel_names") or ())
        stored = view.as_stored("0..255" if colours else flags.pixels)
        image = np.repeat(stored[None, None], channels, axis=0)
        side = view.spacing_mm if in_mm else 1.0
        _, classes = predictor.predict_single_npy_array(
            image, {"spacing": [999.0, side, side]}, None, None, True
        )
        return np.asarray(classes[:, 0], np.float32)

    return predict
