"""A trained net -> one ONNX file that says everything about itself."""

from pathlib import Path
from typing import cast

import onnx
import torch
from torch import nn

from model_export.config import TrainingConfig
from model_export.folding import fold
from model_export.golden import make_golden
from model_export.graph import build_graph
from model_export.networks import NETWORKS, SegmentationNet
from service.inference.contract import (
    Contract,
    InputSpec,
    OperatingPoint,
    OutputNames,
    Provenance,
    Score,
    Spacing,
    Tiling,
)

TILE_SIZE = 640
STRIDE = 512
ASSUMED_LONG_SIDE_MM = 240.0

LICENCE = (
    "Research use only, no commercial use: see service/models/LICENSE. Trained on CDD-CESM, "
    "mini-MIAS and RSNA 2022 screening images, whose terms bind the weights."
)
INTENDED_USE = "Research. Not a medical device; not for diagnosis or treatment."
UNCALIBRATED = OperatingPoint(
    has_mask=0.5,
    chosen_by="not chosen: the exporter's default",
    mask=0.5,
    candidate=0.2,
    minimum_region_mm2=10.0,
)


def load_net(checkpoint: Path, network: str) -> SegmentationNet:
    """Read the averaged weights of a Lightning checkpoint into a net in evaluation mode."""
    stored = torch.load(checkpoint, map_location="cpu", weights_only=False)
    weights = {
        key.removeprefix("net."): value
        for key, value in stored["state_dict"].items()
        if key.startswith("net.")
    }
    net = NETWORKS[network]()
    net.load_state_dict(weights)
    return net.eval()


def export(net: SegmentationNet, config: TrainingConfig, target: Path, version: str) -> Contract:
    """Fold a net and write it with its contract; thresholds are for `calibrate` to choose.

    Parameters
    ----------
    net
        Trained, in evaluation mode.
    config
        Of the run that trained it.
    target
        The .onnx file.
    version
        "major.minor.patch" of the model.
    """
    folded = cast(SegmentationNet, fold(net))
    contract = _contract(folded, config, version)
    write(build_graph(folded, TILE_SIZE), contract, target)
    return contract


def _contract(folded: SegmentationNet, config: TrainingConfig, version: str) -> Contract:
    spec = InputSpec(
        name="tile", dtype="float32", minimum=0.0, maximum=config.normalisation.maximum
    )
    return Contract(
        contract_version=1,
        name=config.name,
        version=version,
        input=spec,
        tiling=Tiling(
            tile_size=TILE_SIZE,
            stride=STRIDE,
            blend="hann",
            receptive_field=receptive_field(folded),
        ),
        spacing=Spacing(working_mm=config.working_mm, assumed_long_side_mm=ASSUMED_LONG_SIDE_MM),
        normalisation=config.normalisation,
        accepted_intents=("presentation", "film", "unstated"),
        outputs=OutputNames(
            probability="probability", has_mask="has_mask", activation="activation"
        ),
        score=Score(rule="max", temperature=1.0),
        operating_point=UNCALIBRATED,
        provenance=Provenance(
            training_data=config.sources,
            licence=LICENCE,
            intended_use=INTENDED_USE,
            evaluation={},
        ),
        golden=make_golden(folded, spec, TILE_SIZE),
    )


def write(model: onnx.ModelProto, contract: Contract, target: Path) -> None:
    """Write one self-contained file, whole or not at all; an older contract is replaced."""
    del model.metadata_props[:]
    onnx.helper.set_model_props(model, contract.to_metadata())
    target.parent.mkdir(parents=True, exist_ok=True)
    partial = target.with_suffix(".part")
    partial.write_bytes(model.SerializeToString())
    partial.replace(target)


def receptive_field(net: SegmentationNet) -> int:
    """Give the side, in pixels, of the input that one output pixel can depend on.

    Counted, not computed: in a net of the same kernels with one channel, equal weights and
    pooling by mean, the gradient of an output is positive exactly where the input matters. The
    largest of 32 neighbouring outputs counts.

    Parameters
    ----------
    net
        Folded.
    """
    probe = _one_channel(net)
    tile = torch.ones(1, 1, 1408, 32, dtype=torch.float64, requires_grad=True)
    logits = probe(tile)
    widest = 0
    for row in range(704, 736):
        (gradient,) = torch.autograd.grad(logits[0, 0, row, 16], tile, retain_graph=True)
        touched = torch.nonzero(gradient[0, 0].abs().amax(dim=1))
        widest = max(widest, int(touched[-1] - touched[0]) + 1)
    return widest


def _one_channel(net: SegmentationNet) -> nn.Sequential:
    chain = [*net.encoder.modules(), *net.decoder.modules()]
    layers = [layer for layer in chain if not isinstance(layer, nn.Sequential)]
    thin: list[nn.Module] = []
    for layer, following in zip(layers, [*layers[1:], None], strict=True):
        if isinstance(layer, nn.Conv2d):
            outputs = 4 if isinstance(following, nn.PixelShuffle) else 1
            kernel, stride, dilation = layer.kernel_size[0], layer.stride[0], layer.dilation[0]
            pad = dilation * (kernel // 2)
            conv = nn.Conv2d(1, outputs, kernel, stride, padding=pad, dilation=dilation, bias=False)
            nn.init.constant_(conv.weight, 1.0 / kernel**2)
            thin.append(conv)
        elif isinstance(layer, nn.MaxPool2d):
            thin.append(nn.AvgPool2d(layer.kernel_size))
        else:
            thin.append(layer)
    return nn.Sequential(*thin).double()
