"""MONAI bundles, by MONAI's own transforms and inferer."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from model_export.adopt.errors import AdoptError, NotProven, Unanswered
from model_export.adopt.flags import Flags
from model_export.adopt.run import Naming, adopt
from tests.model_export.adopt.libraries import require_library
from tests.model_export.adopt.nets import (
    SPACING_MM,
    SpotNet,
    aim,
    aim_head,
    display_of,
    logits_of,
    softmax,
)
from tests.model_export.adopt.served import demand_the_same, probability_from

pytestmark = [
    pytest.mark.integration,
    pytest.mark.slow,
    pytest.mark.heavy,
    pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning"),
    pytest.mark.filterwarnings("ignore::UserWarning"),
    pytest.mark.filterwarnings("ignore::torch.jit.TracerWarning"),
]

FLAGS = Flags(spacing_mm=SPACING_MM, lesion_class=("lesion",))
Z_SCORE = {"_target_": "NormalizeIntensityd", "keys": "image"}
MIN_MAX = {"_target_": "ScaleIntensityd", "keys": "image", "minv": -1.0, "maxv": 1.0}


@pytest.fixture(autouse=True)
def _installed() -> None:
    require_library("monai", "monai")
    require_library("onnxscript", "onnxscript")


def write_bundle(
    folder: Path,
    view: Path,
    intensity: dict[str, Any] = Z_SCORE,
    reader: dict[str, Any] | None = None,
    mode: str = "gaussian",
    stored: float = 1.0,
) -> tuple[Path, np.ndarray]:
    """Write a bundle of a small U-Net, and return it with what MONAI answers to the view."""
    import monai

    torch.manual_seed(0)
    net = monai.networks.nets.BasicUNet(
        spatial_dims=2, in_channels=1, out_channels=2, features=(8, 8, 16, 16, 16, 8)
    ).eval()
    columns_first = reader is None
    display = display_of(view)
    upright = torch.from_numpy(display.T.copy() if columns_first else display)[None] * stored
    name, options = intensity["_target_"][:-1], intensity
    options = {key: value for key, value in options.items() if key not in ("_target_", "keys")}
    image = torch.as_tensor(np.asarray(getattr(monai.transforms, name)(**options)(upright)))[None]
    with torch.no_grad():
        sides = [side // 16 * 16 for side in image.shape[2:]]
        part = image[..., : sides[0], : sides[1]]
        breast = upright[0, : sides[0], : sides[1]].numpy() > 0
        aim_head(net.final_conv, net(part)[0], breast)
        inferer = monai.inferers.SlidingWindowInferer([128, 160], overlap=0.5, mode=mode)
        wanted = torch.softmax(inferer(image, net), dim=1)[0, 1].numpy()
    wanted = wanted.T if columns_first else wanted
    (folder / "configs").mkdir(parents=True)
    (folder / "models").mkdir()
    torch.jit.trace(net, torch.zeros(1, 1, 128, 160)).save(str(folder / "models" / "model.ts"))
    metadata = {
        "name": "Breast bundle",
        "network_data_format": {
            "inputs": {"image": {"num_channels": 1, "spatial_shape": [128, 160]}},
            "outputs": {
                "pred": {"num_channels": 2, "channel_def": {"0": "background", "1": "lesion"}}
            },
        },
    }
    loading = {"_target_": "LoadImaged", "keys": "image"} | (reader or {})
    inference = {
        "bundle_root": ".",
        "device": "$torch.device('cpu')",
        "roi": [128, 160],
        "preprocessing": {
            "_target_": "Compose",
            "transforms": [
                loading,
                {"_target_": "EnsureChannelFirstd", "keys": "image"},
                intensity,
                {"_target_": "EnsureTyped", "keys": "image"},
            ],
        },
        "inferer": {
            "_target_": "SlidingWindowInferer",
            "roi_size": "@roi",
            "sw_batch_size": 4,
            "overlap": 0.5,
            "mode": mode,
        },
        "postprocessing": {
            "_target_": "Compose",
            "transforms": [{"_target_": "Activationsd", "keys": "pred", "softmax": True}],
        },
    }
    (folder / "configs" / "metadata.json").write_text(json.dumps(metadata))
    (folder / "configs" / "inference.json").write_text(json.dumps(inference))
    return folder, wanted


@pytest.mark.parametrize(
    ("intensity", "reader", "mode"),
    [
        pytest.param(Z_SCORE, None, "gaussian", marks=pytest.mark.frameworks),
        (MIN_MAX, {"reverse_indexing": False}, "constant"),
    ],
)
def test_a_bundle_is_proven_and_served_as_monai_answers(
    intensity: dict[str, Any],
    reader: dict[str, Any] | None,
    mode: str,
    view: Path,
    tmp_path: Path,
) -> None:
    folder, wanted = write_bundle(tmp_path / "bundle", view, intensity, reader, mode)
    target = tmp_path / "adopted.onnx"
    result = adopt(folder, view, target, FLAGS, naming=Naming())
    assert result.contract.adopted.proof == "predictor"
    assert result.contract.tiling.tile_shape == ((160, 128) if reader is None else (128, 160))
    demand_the_same(probability_from(target, view), wanted, display_of(view))


EIGHT_BITS = {
    "_target_": "NormalizeIntensityd", "keys": "image", "subtrahend": 90.0, "divisor": 60.0,
}  # fmt: skip


def test_fixed_numbers_are_of_files_whose_bits_are_asked_for(view: Path, tmp_path: Path) -> None:
    folder, wanted = write_bundle(tmp_path / "bundle", view, EIGHT_BITS, stored=255.0)
    target = tmp_path / "adopted.onnx"
    with pytest.raises(Unanswered, match="--pixels"):
        adopt(folder, view, target, FLAGS, naming=Naming())
    flags = replace(FLAGS, pixels="0..255")
    result = adopt(folder, view, target, flags, naming=Naming())
    assert result.contract.adopted.proof == "predictor"
    assert "taken as said" in result.remarks[0] and "--pixels 0..255" in result.remarks[0]
    demand_the_same(probability_from(target, view), wanted, display_of(view))


def test_a_bundle_without_an_activation_is_asked_for_it_and_proven(
    view: Path, tmp_path: Path
) -> None:
    folder, wanted = write_bundle(tmp_path / "bundle", view)
    file = folder / "configs" / "inference.json"
    config = json.loads(file.read_text())
    del config["postprocessing"]
    file.write_text(json.dumps(config))
    target = tmp_path / "adopted.onnx"
    with pytest.raises(Unanswered, match="--activation"):
        adopt(folder, view, target, FLAGS, naming=Naming())
    flags = replace(FLAGS, activation="softmax")
    result = adopt(folder, view, target, flags, naming=Naming())
    assert result.contract.adopted.proof == "predictor"
    demand_the_same(probability_from(target, view), wanted, display_of(view))


def test_a_bundle_that_runs_whole_views_over_a_fixed_range_says_all_but_the_class(
    view: Path, tmp_path: Path
) -> None:
    folder, _ = write_bundle(tmp_path / "bundle", view)
    lying = display_of(view).T[None].copy()
    net = aim(SpotNet(1, 2), lying)
    torch.jit.trace(net, torch.zeros(1, 1, 64, 96)).save(str(folder / "models" / "model.ts"))
    file = folder / "configs" / "inference.json"
    config = json.loads(file.read_text())
    config["preprocessing"]["transforms"][2:3] = [
        {"_target_": "Spacingd", "keys": "image", "pixdim": [SPACING_MM, SPACING_MM]},
        {
            "_target_": "ScaleIntensityRanged", "keys": "image",
            "a_min": 0, "a_max": 255, "b_min": 0.0, "b_max": 1.0, "clip": True,
        },
    ]  # fmt: skip
    config["inferer"] = {"_target_": "SimpleInferer"}
    file.write_text(json.dumps(config))
    target = tmp_path / "adopted.onnx"
    result = adopt(folder, view, target, Flags(lesion_class=("lesion",)), naming=Naming())
    assert result.contract.adopted.proof == "predictor"
    assert result.contract.spacing.working_mm == SPACING_MM
    wanted = softmax(logits_of(net, lying))[1].T
    demand_the_same(probability_from(target, view), wanted, display_of(view))


def test_a_view_on_which_monai_itself_fails_is_told_so(view: Path, tmp_path: Path) -> None:
    folder, _ = write_bundle(tmp_path / "bundle", view)
    file = folder / "configs" / "inference.json"
    config = json.loads(file.read_text())
    config["inferer"]["mode"] = "no such mode"
    file.write_text(json.dumps(config))
    with pytest.raises(AdoptError, match="the framework itself fails on the sample"):
        adopt(folder, view, tmp_path / "a.onnx", FLAGS, naming=Naming())


def test_a_flag_that_is_wrong_is_named_by_monais_own_answer(view: Path, tmp_path: Path) -> None:
    folder, _ = write_bundle(tmp_path / "bundle", view)
    with pytest.raises(NotProven, match="leave out --transpose: then it is proven"):
        flags = replace(FLAGS, transpose=True)
        adopt(folder, view, tmp_path / "a.onnx", flags, naming=Naming())


@pytest.mark.parametrize(
    ("path", "value", "said"),
    [
        (("preprocessing", "transforms", 2), {"_target_": "HistogramNormalized"}, "HistogramNorm"),
        (("preprocessing", "transforms"), "$code()", "not run here"),
        (("inferer", "roi_size"), [64, 64, 64], "two numbers"),
        (("inferer", "_target_"), "SliceInferer", "SliceInferer"),
        (("inferer", "roi_size"), "@nowhere", "not there"),
    ],
)
def test_what_a_bundle_does_that_is_not_read_is_named(
    path: tuple[Any, ...], value: object, said: str, view: Path, tmp_path: Path
) -> None:
    folder, _ = write_bundle(tmp_path / "bundle", view)
    file = folder / "configs" / "inference.json"
    config = json.loads(file.read_text())
    part = config
    for key in path[:-1]:
        part = part[key]
    part[path[-1]] = value
    file.write_text(json.dumps(config))
    with pytest.raises(AdoptError, match=said):
        adopt(folder, view, tmp_path / "a.onnx", FLAGS, naming=Naming())


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("preprocessing", "transforms", 2), {"_target_": "ScaleIntensityRanged", "a_min": 0}),
        (("preprocessing", "transforms", 2), {"_target_": "ScaleIntensityd", "minv": None}),
        (("preprocessing", "transforms", 2), {"_target_": "NormalizeIntensityd", "divisor": "a"}),
        (("preprocessing", "transforms", 2), {"_target_": "Spacingd", "pixdim": None}),
        (("preprocessing", "transforms"), 5),
        (("inferer", "roi_size"), ["a", "b"]),
        (("inferer", "overlap"), "half"),
    ],
)
def test_what_is_not_written_as_a_bundle_is_is_told_so(
    path: tuple[Any, ...], value: object, view: Path, tmp_path: Path
) -> None:
    folder, _ = write_bundle(tmp_path / "bundle", view)
    file = folder / "configs" / "inference.json"
    config = json.loads(file.read_text())
    part = config
    for key in path[:-1]:
        part = part[key]
    part[path[-1]] = value
    file.write_text(json.dumps(config))
    with pytest.raises(AdoptError, match="is not written as a MONAI bundle is"):
        adopt(folder, view, tmp_path / "a.onnx", FLAGS, naming=Naming())


def test_channels_that_are_not_the_nets_are_refused(view: Path, tmp_path: Path) -> None:
    folder, _ = write_bundle(tmp_path / "bundle", view)
    file = folder / "configs" / "metadata.json"
    file.write_text(file.read_text().replace('"num_channels": 2', '"num_channels": 3'))
    with pytest.raises(AdoptError, match="says 3 output"):
        adopt(folder, view, tmp_path / "a.onnx", FLAGS, naming=Naming())
