"""Segmentation Models PyTorch, by the library itself."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from model_export.adopt import smp as adapter
from model_export.adopt.errors import AdoptError
from model_export.adopt.flags import IMAGENET_DEVIATION, IMAGENET_MEAN, Flags
from model_export.adopt.run import Naming, adopt
from tests.model_export.adopt.libraries import require_library
from tests.model_export.adopt.nets import SPACING_MM, aim_head, display_of
from tests.model_export.adopt.served import demand_the_same, probability_from

pytestmark = [
    pytest.mark.integration,
    pytest.mark.slow,
    pytest.mark.heavy,
    pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning"),
    pytest.mark.filterwarnings("ignore::UserWarning"),
]

FLAGS = Flags(spacing_mm=SPACING_MM, activation="sigmoid")


@pytest.fixture(scope="module")
def unet(view: Path) -> tuple[Any, np.ndarray]:
    """Return a U-Net on ImageNet's colours with random weights, and what it answers to the view."""
    require_library("segmentation_models_pytorch", "segmentation-models-pytorch")
    require_library("onnxscript", "onnxscript")
    smp = adapter._library()
    torch.manual_seed(0)
    net = smp.Unet("resnet18", encoder_weights=None, in_channels=3, classes=1).eval()
    display = display_of(view)
    rows, columns = display.shape
    padded = np.pad(display, ((0, -rows % 32), (0, -columns % 32)))
    image = np.repeat(padded[..., None], 3, axis=2)
    # What `get_preprocessing_fn("resnet18", "imagenet")` returns, which asks a hub for the numbers.
    prepared = smp.encoders.preprocess_input(
        image, mean=IMAGENET_MEAN, std=IMAGENET_DEVIATION, input_space="RGB", input_range=[0, 1]
    )
    batch = torch.from_numpy(prepared.transpose(2, 0, 1)[None].astype(np.float32))
    with torch.no_grad():
        aim_head(net.segmentation_head[0], net(batch)[0], padded > 0)
        wanted = torch.sigmoid(net(batch))[0, 0, :rows, :columns].numpy()
    return net, wanted


@pytest.mark.frameworks
def test_a_saved_folder_is_proven_and_served_as_smp_answers(
    unet: tuple[Any, np.ndarray], view: Path, tmp_path: Path
) -> None:
    net, wanted = unet
    # As `Unet(..., encoder_weights="imagenet")` writes it; nothing can be downloaded here.
    net.config["encoder_weights"] = "imagenet"
    net.save_pretrained(tmp_path / "unet")
    target = tmp_path / "adopted.onnx"
    result = adopt(tmp_path / "unet", view, target, FLAGS, naming=Naming())
    assert result.contract.adopted.proof == "predictor"
    assert result.settled.pixels.mean == (0.485, 0.456, 0.406)
    demand_the_same(probability_from(target, view), wanted, display_of(view))


def test_weights_alone_need_their_architecture(
    unet: tuple[Any, np.ndarray], view: Path, tmp_path: Path
) -> None:
    net, wanted = unet
    lightning = {f"model.{key}": value for key, value in net.state_dict().items()}
    torch.save({"state_dict": lightning, "epoch": 3}, tmp_path / "unet.ckpt")
    target = tmp_path / "adopted.onnx"
    with pytest.raises(AdoptError, match="--architecture Unet:resnet34"):
        adopt(tmp_path / "unet.ckpt", view, target, FLAGS, naming=Naming())
    flags = Flags(
        spacing_mm=SPACING_MM, activation="sigmoid", pixels="imagenet", architecture="Unet:resnet18"
    )
    result = adopt(tmp_path / "unet.ckpt", view, target, flags, naming=Naming())
    assert result.contract.adopted.proof == "predictor"
    demand_the_same(probability_from(target, view), wanted, display_of(view))
    other = Flags(
        spacing_mm=SPACING_MM, activation="sigmoid", pixels="imagenet", architecture="Unet:resnet34"
    )
    with pytest.raises(AdoptError, match="another net's weights"):
        adopt(tmp_path / "unet.ckpt", view, target, other, naming=Naming())


def test_code_in_a_checkpoint_is_not_run(view: Path, tmp_path: Path) -> None:
    require_library("segmentation_models_pytorch", "segmentation-models-pytorch")
    torch.save({"state_dict": Path("/")}, tmp_path / "unet.pth")
    with pytest.raises(AdoptError, match="which are not run here"):
        adopt(tmp_path / "unet.pth", view, tmp_path / "a.onnx", FLAGS, naming=Naming())
