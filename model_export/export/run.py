"""A trained net -> one ONNX file that says everything about itself."""

from pathlib import Path

import onnx

from model_export.config import TrainingConfig
from model_export.datasets.images import ASSUMED_LONG_SIDE_MM
from model_export.export.folding import fold
from model_export.export.golden import make_golden
from model_export.export.graph import build_graph
from model_export.export.half_stored import round_weights, store_in_half
from model_export.export.receptive_field import receptive_field
from model_export.export.terms import licence
from model_export.export.tile_shapes import tile_shapes
from model_export.export.verify import MAX_FILE_BYTES
from model_export.networks import NetworkOptions, SegmentationNet, build
from model_export.seen_images import KEY, say_seen
from model_export.training.checkpoints import averaged_weights
from model_export.training.lineage import Lineage, lineage_of_config
from service.inference.contract import (
    Contract,
    InputSpec,
    OperatingPoint,
    OutputNames,
    Provenance,
    Score,
    Spacing,
)
from service.inference.tiling import Tiling
from service.system.whole_file import whole_file

WHOLE_TILES = 2
"""A breast of up to so many largest tiles' pixels stays whole where the device allows. In 145
validation films, whole and in four tiles each, as many lesions were found (docs/training.md), and
whole is less work."""

MAX_SINGLE_BYTES = MAX_FILE_BYTES - 2**20
"""Of weights in single precision; contract and golden tile have the rest of a file."""

INTENDED_USE = "Research. Not a medical device; not for diagnosis or treatment."
UNCALIBRATED = OperatingPoint(
    has_mask=0.5,
    chosen_by="not chosen: the exporter's default",
    mask=0.5,
    candidate=0.2,
    minimum_region_mm2=10.0,
)


def load_net(checkpoint: Path, options: NetworkOptions) -> SegmentationNet:
    """Read the averaged weights of a Lightning checkpoint into a net in evaluation mode."""
    net = build(options)
    net.load_state_dict(averaged_weights(checkpoint))
    return net.eval()


def export(
    net: SegmentationNet,
    config: TrainingConfig,
    target: Path,
    version: str,
    lineage: Lineage | None = None,
) -> Contract:
    """Fold a net and write it with its contract; thresholds are for `calibrate` to choose.

    Weights of more than `MAX_SINGLE_BYTES` are stored in half precision, and computed with in
    single.

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
    lineage
        What the weights come from, as their checkpoint says; what the config says if None.
    """
    lineage = lineage or lineage_of_config(config)
    folded = fold(net)
    weighs = 4 * sum(weight.numel() for weight in folded.parameters())
    in_half = weighs + len(lineage.images.to_text()) > MAX_SINGLE_BYTES
    if in_half:
        round_weights(folded)
    contract = _contract(folded, config, version, receptive_field(net), lineage)
    model = build_graph(folded, contract.tiling.tile_size)
    if in_half:
        store_in_half(model)
    say_seen(model, lineage.images)
    write(model, contract, target)
    return contract


def takes_any_shape(options: NetworkOptions) -> bool:
    """Say whether a graph takes every multiple of 32: not where its net halves a sixth time."""
    return getattr(options, "last_stage", "dilated") == "dilated"


def _contract(
    folded: SegmentationNet, config: TrainingConfig, version: str, sight: int, lineage: Lineage
) -> Contract:
    shapes = tile_shapes(config.working_mm)
    spec = InputSpec(
        name="tile", dtype="float32", minimum=0.0, maximum=config.normalisation.maximum
    )
    return Contract(
        contract_version=1,
        name=config.name,
        version=version,
        input=spec,
        tiling=Tiling(
            tile_size=shapes.tile_size,
            narrower=shapes.narrower,
            whole=takes_any_shape(config.network),
            whole_tiles=WHOLE_TILES,
            stride=shapes.stride,
            blend="hann",
            receptive_field=sight,
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
            training_data=lineage.sources,
            licence="".join([licence(lineage.sources), *lineage.notices]),
            intended_use=INTENDED_USE,
            evaluation={},
        ),
        golden=make_golden(folded, spec, shapes.tile_size),
    )


def contract_of(model: onnx.ModelProto) -> Contract:
    """Read the contract that a file carries.

    Raises
    ------
    ContractError
        It carries none that holds.
    """
    return Contract.from_metadata({one.key: one.value for one in model.metadata_props})


def write(model: onnx.ModelProto, contract: Contract, target: Path) -> None:
    """Write one self-contained file, whole or not at all; an older contract is replaced.

    What the model says of the images that its net has seen stays.
    """
    seen = {one.key: one.value for one in model.metadata_props if one.key == KEY}
    onnx.helper.set_model_props(model, contract.to_metadata() | seen)
    target.parent.mkdir(parents=True, exist_ok=True)
    with whole_file(target) as partial:
        partial.write_bytes(model.SerializeToString())
