"""nnU-Net v2 results folders, written as nnunetv2 writes them."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from model_export.adopt import nnunet as adapter
from model_export.adopt.errors import AdoptError, Unanswered
from model_export.adopt.flags import Flags
from model_export.adopt.run import Naming, adopt
from tests.model_export.adopt.libraries import require_library
from tests.model_export.adopt.nets import SPACING_MM, Prepare, aim_head, display_of
from tests.model_export.adopt.served import demand_the_same, probability_from

pytestmark = [
    pytest.mark.integration,
    pytest.mark.slow,
    pytest.mark.heavy,
    pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning"),
    pytest.mark.filterwarnings("ignore::UserWarning", "ignore::ResourceWarning"),
]

PACKAGE = "dynamic_network_architectures.architectures.unet"
COMMON: dict[str, Any] = {
    "n_stages": 3,
    "features_per_stage": [8, 16, 16],
    "conv_op": "torch.nn.modules.conv.Conv2d",
    "kernel_sizes": [[3, 3]] * 3,
    "strides": [[1, 1], [2, 2], [2, 2]],
    "n_conv_per_stage_decoder": [1, 1],
    "conv_bias": True,
    "norm_op": "torch.nn.modules.instancenorm.InstanceNorm2d",
    "norm_op_kwargs": {"eps": 1e-05, "affine": True},
    "dropout_op": None,
    "dropout_op_kwargs": None,
    "nonlin": "torch.nn.LeakyReLU",
    "nonlin_kwargs": {"inplace": True},
}
NETS = {
    "PlainConvUNet": COMMON | {"n_conv_per_stage": [1, 1, 1]},
    "ResidualEncoderUNet": COMMON | {"n_blocks_per_stage": [1, 1, 1]},
}
SCHEMES: dict[str, Prepare] = {
    "ZScoreNormalization": lambda inner: (inner - inner.mean()) / inner.std(),
    "RescaleTo01Normalization": lambda inner: (inner - inner.min()) / np.ptp(inner),
    "RGBTo01Normalization": lambda inner: inner,
    "NoNormalization": lambda inner: inner * 255,
}
LABELS = {"background": 0, "mass": 1, "calcification": 2}


@pytest.fixture(autouse=True)
def _installed() -> None:
    require_library("nnunetv2", "nnunetv2")
    require_library("onnxscript", "onnxscript")


def write_results(
    folder: Path,
    view: Path,
    kind: str = "PlainConvUNet",
    scheme: str = "ZScoreNormalization",
    patch: tuple[int, int] = (160, 96),
    folds: int = 1,
    **dataset: Any,
) -> Path:
    """Write plans.json, dataset.json and checkpoints of random weights, aimed at the view."""
    from nnunetv2.utilities.get_network_from_plans import get_network_from_plans

    folder.mkdir()
    architecture = {
        "network_class_name": f"{PACKAGE}.{kind}",
        "arch_kwargs": NETS[kind],
        "_kw_requires_import": ["conv_op", "norm_op", "dropout_op", "nonlin"],
    }
    resampling = {"is_seg": False, "order": 3, "order_z": 0, "force_separate_z": None}
    configuration = {
        "data_identifier": "nnUNetPlans_2d",
        "preprocessor_name": "DefaultPreprocessor",
        "batch_size": 2,
        "patch_size": list(patch),
        "spacing": [1.0, 1.0],
        "normalization_schemes": [scheme],
        "use_mask_for_norm": [False],
        "resampling_fn_data": "resample_data_or_seg_to_shape",
        "resampling_fn_seg": "resample_data_or_seg_to_shape",
        "resampling_fn_data_kwargs": resampling,
        "resampling_fn_seg_kwargs": resampling | {"is_seg": True, "order": 1},
        "resampling_fn_probabilities": "resample_data_or_seg_to_shape",
        "resampling_fn_probabilities_kwargs": resampling | {"order": 1},
        "architecture": architecture,
        "batch_dice": True,
    }
    plans = {
        "dataset_name": "Dataset001_Breast",
        "plans_name": "nnUNetPlans",
        "image_reader_writer": "NaturalImage2DIO",
        "transpose_forward": [0, 1, 2],
        "transpose_backward": [0, 1, 2],
        "label_manager": "LabelManager",
        "experiment_planner_used": "ExperimentPlanner",
        "configurations": {"2d": configuration},
        "foreground_intensity_properties_per_channel": {"0": {}},
    }
    described: dict[str, Any] = {
        "channel_names": {"0": "X-ray"},
        "labels": LABELS,
        "numTraining": 10,
        "file_ending": ".png",
        "name": "Breast",
    } | dataset
    (folder / "plans.json").write_text(json.dumps(plans))
    (folder / "dataset.json").write_text(json.dumps(described))
    display = display_of(view)
    rows, columns = np.flatnonzero(display.any(1)), np.flatnonzero(display.any(0))
    inner = display[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    image = SCHEMES[scheme](inner)
    image = image[: image.shape[0] // 4 * 4, : image.shape[1] // 4 * 4].astype(np.float32)
    breast = inner[: image.shape[0], : image.shape[1]] > 0
    for fold in range(folds):
        torch.manual_seed(fold)
        net = get_network_from_plans(
            architecture["network_class_name"], NETS[kind], architecture["_kw_requires_import"],
            1, len(described["labels"]), deep_supervision=False,
        ).eval()  # fmt: skip
        with torch.no_grad():
            answer = net(torch.from_numpy(image.copy())[None, None])[0]
        aim_head(net.decoder.seg_layers[-1], answer, breast, share=0.12)
        checkpoint = {
            "network_weights": net.state_dict(),
            "init_args": {"configuration": "2d", "fold": fold},
            "trainer_name": "nnUNetTrainer",
            "inference_allowed_mirroring_axes": (0, 1),
            "_best_ema": np.float64(0.5),
            "logging": {"dice": [np.float32(0.1), 0.2]},
        }
        (folder / f"fold_{fold}").mkdir()
        torch.save(checkpoint, folder / f"fold_{fold}" / "checkpoint_final.pth")
    return folder


def flags_for(**more: Any) -> Flags:
    said: dict[str, Any] = {"spacing_mm": SPACING_MM, "lesion_class": ("mass", "calcification")}
    return Flags(**(said | more))


def predicted(folder: Path, view: Path, flags: Flags) -> np.ndarray:
    """Return what nnUNetPredictor itself says, loaded its own way from the folder."""
    from nnunetv2.inference.predict_from_raw_data import nnUNetPredictor

    predictor = nnUNetPredictor(
        use_mirroring=flags.mirroring, device=torch.device("cpu"), allow_tqdm=False,
        perform_everything_on_device=False,
    )  # fmt: skip
    predictor.initialize_from_trained_model_folder(str(folder), use_folds=None)
    plan = json.loads((folder / "plans.json").read_text())["configurations"]["2d"]
    bits = plan["normalization_schemes"] == ["RGBTo01Normalization"] or flags.pixels == "0..255"
    scale = 255 if bits else 65535
    image = (display_of(view) * np.float32(scale))[None, None]
    _, classes = predictor.predict_single_npy_array(
        image, {"spacing": [999.0, 1.0, 1.0]}, None, None, True
    )
    return np.asarray(classes[1:, 0].sum(axis=0), np.float32)


@pytest.mark.parametrize(
    ("kind", "scheme", "folds", "more"),
    [
        ("PlainConvUNet", "ZScoreNormalization", 1, {}),
        pytest.param(
            "ResidualEncoderUNet", "ZScoreNormalization", 1, {}, marks=pytest.mark.frameworks
        ),
        ("PlainConvUNet", "NoNormalization", 1, {"pixels": "0..255"}),
        ("PlainConvUNet", "RescaleTo01Normalization", 1, {}),
        ("PlainConvUNet", "RGBTo01Normalization", 1, {}),
        ("PlainConvUNet", "ZScoreNormalization", 2, {"mirroring": True}),
    ],
)
def test_results_are_proven_and_served_as_nnunet_answers(
    kind: str, scheme: str, folds: int, more: dict[str, Any], view: Path, tmp_path: Path
) -> None:
    folder = write_results(tmp_path / "results", view, kind, scheme, folds=folds)
    target, flags = tmp_path / "adopted.onnx", flags_for(**more)
    result = adopt(folder, view, target, flags, naming=Naming())
    assert result.contract.adopted.proof == "predictor"
    assert result.contract.tiling.tile_shape == (160, 96)
    assert [one.name for one in result.contract.adopted.classes] == ["mass", "calcification"]
    wanted = predicted(folder, view, flags)
    demand_the_same(probability_from(target, view), wanted, display_of(view))


def test_a_view_smaller_than_a_patch_lies_in_its_middle(view: Path, tmp_path: Path) -> None:
    folder = write_results(tmp_path / "results", view, patch=(320, 256))
    target, flags = tmp_path / "adopted.onnx", flags_for()
    adopt(folder, view, target, flags, naming=Naming())
    wanted = predicted(folder, view, flags)
    demand_the_same(probability_from(target, view), wanted, display_of(view))


def test_what_the_folder_does_not_say_is_asked_for(view: Path, tmp_path: Path) -> None:
    folder = write_results(tmp_path / "results", view, scheme="NoNormalization")
    with pytest.raises(Unanswered) as caught:
        adopt(folder, view, tmp_path / "a.onnx", Flags(), naming=Naming())
    asked = [one.split("--")[1].split()[0] for one in caught.value.questions]
    assert asked == ["pixels", "spacing", "lesion-class"]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"labels": LABELS | {"more": 3}}, "another net's weights"),
        ({"channel_names": {"0": "a", "1": "b"}}, "another net's weights"),
        ({"labels": None}, "dataset.json"),
    ],
)
def test_a_folder_that_contradicts_itself_is_refused(
    change: dict[str, Any], said: str, view: Path, tmp_path: Path
) -> None:
    folder = write_results(tmp_path / "results", view)
    dataset = json.loads((folder / "dataset.json").read_text()) | change
    if dataset["labels"] is None:
        del dataset["labels"]
    (folder / "dataset.json").write_text(json.dumps(dataset))
    with pytest.raises(AdoptError, match=said):
        adopt(folder, view, tmp_path / "a.onnx", flags_for(), naming=Naming())


@pytest.mark.parametrize(
    ("place", "value", "said"),
    [
        (("configurations", "2d", "patch_size"), None, "not written as an nnU-Net results folder"),
        (("configurations", "2d", "spacing"), ["a"], "not written as an nnU-Net results folder"),
        (("configurations", "2d", "patch_size"), [32, 64, 64], "3-D"),
        (("configurations", "2d", "normalization_schemes"), ["CTNormalization"], "no fixed scale"),
        (("configurations", "2d", "architecture", "network_class_name"), "os.system", "PlainConv"),
        (("configurations", "2d", "architecture", "arch_kwargs", "conv_op"), "os.system", "import"),
        (("configurations", "2d", "spacing"), [0.1, 0.2], "no squares"),
        (("transpose_forward",), [0, 2, 1], "turn the axes"),
    ],
)
def test_plans_that_a_grey_image_cannot_fill_are_refused(
    place: tuple[str, ...], value: object, said: str, view: Path, tmp_path: Path
) -> None:
    folder = write_results(tmp_path / "results", view)
    plans = json.loads((folder / "plans.json").read_text())
    part = plans
    for key in place[:-1]:
        part = part[key]
    part[place[-1]] = value
    (folder / "plans.json").write_text(json.dumps(plans))
    with pytest.raises(AdoptError, match=said):
        adopt(folder, view, tmp_path / "a.onnx", flags_for(), naming=Naming())
    assert adapter.recognises(folder)
