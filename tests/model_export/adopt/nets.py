"""Small nets with random weights, as other frameworks would have written them, and a view."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
import torch
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper
from torch import nn

from model_export.phantom import breast_phantom
from service.imaging.reader import ReadLimits
from service.reading.reader import InProcess, ReadRequest
from tests.dicom_files import dicom_file

SPACING_MM = 0.8
ROWS, COLUMNS = 300, 230

Prepare = Callable[[NDArray[np.float32]], NDArray[np.float32]]
"""Display values in [0, 1], (rows, columns) -> what the net was trained on, (C, rows, columns)."""


def view_file(folder: Path, side: str = "L") -> Path:
    """Write a view of 0.8 mm a pixel, a phantom with three masses on black."""
    grey = breast_phantom(ROWS)[:, :COLUMNS].astype(np.int32)
    stored = grey * 16
    if side == "R":
        stored = stored[:, ::-1].copy()
    path = folder / f"view-{side}.dcm"
    path.write_bytes(
        dicom_file(
            stored,
            PixelSpacing=[SPACING_MM, SPACING_MM],
            ImagerPixelSpacing=None,
            ImageLaterality=side,
            StudyInstanceUID="1.2.826.0.1.3680043.10.1.2",
            SeriesInstanceUID="1.2.826.0.1.3680043.10.1.3",
        )
    )
    return path


def display_of(path: Path) -> NDArray[np.float32]:
    """Return what the service reads of a view, in [0, 1]."""
    request = ReadRequest(path.read_bytes())
    return InProcess(ReadLimits()).read(request).pixels.astype(np.float32) / np.float32(65535)


class SpotNet(nn.Module):
    """Random filters of 9 x 9, and K answers; few pixels are lesions once it is `aimed`."""

    def __init__(self, channels: int, outputs: int, seed: int = 0) -> None:
        super().__init__()
        torch.manual_seed(seed)
        self.see = nn.Conv2d(channels, 6, 9, padding=4)
        self.tell = nn.Conv2d(6, outputs, 1)

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        return self.tell(torch.relu(self.see(image)))


def aim(net: SpotNet, image: NDArray[np.float32], share: float = 0.06) -> SpotNet:
    """Scale and shift the answers so that each but the first is a lesion in a share of pixels."""
    with torch.no_grad():
        answer = net(torch.from_numpy(image[None]))[0]
    aim_head(net.tell, answer, image[0] != image[0, 0, -1], share)
    return net.eval()


@torch.no_grad()
def aim_head(
    head: nn.Conv2d, answer: torch.Tensor, breast: NDArray[np.bool_], share: float = 0.06
) -> None:
    """Scale and shift what a net's last layer answers, (K, rows, columns), over the breast."""
    outputs = answer.shape[0]
    first = 0 if outputs == 1 else 1
    for index in range(first, outputs):
        own = answer[index] - (answer[0] if outputs > 1 else 0)
        inside = own[torch.from_numpy(breast)]
        level = torch.quantile(inside, 1 - share / max(1, outputs - 1))
        spread = float((torch.quantile(inside, 0.9) - torch.quantile(inside, 0.1)).abs()) or 1.0
        scale = 3.0 / spread
        head.weight[index] *= scale
        head.bias[index] *= scale
        if outputs > 1:
            head.weight[index] -= head.weight[0] * (scale - 1.0)
            head.bias[index] -= head.bias[0] * (scale - 1.0)
        head.bias[index] -= level * scale


@dataclass(frozen=True)
class Written:
    """A net as an ONNX file, and what it answers to the view by its own pipeline."""

    path: Path
    probability: NDArray[np.float32]


def softmax(values: NDArray[np.float32]) -> NDArray[np.float32]:
    shifted = np.exp(values - values.max(axis=0, keepdims=True))
    return (shifted / shifted.sum(axis=0, keepdims=True)).astype(np.float32)


def sigmoid(values: NDArray[np.float32]) -> NDArray[np.float32]:
    return (1 / (1 + np.exp(-values))).astype(np.float32)


def as_onnx(
    net: SpotNet,
    *,
    squash: str | None = None,
    sides: tuple[int, int] | None = None,
    opset: int = 18,
    last: bool = False,
    flat: bool = False,
) -> onnx.ModelProto:
    """Write the net node by node, as exporters do."""
    channels, outputs = net.see.in_channels, net.tell.out_channels
    area: tuple[int | str, int | str] = sides or ("h", "w")
    nodes, image = [], "image"
    if last:
        nodes.append(helper.make_node("Transpose", ["image"], ["first"], perm=[0, 3, 1, 2]))
        image = "first"
    nodes += [
        helper.make_node("Conv", [image, "see.w", "see.b"], ["seen"], pads=[4, 4, 4, 4]),
        helper.make_node("Relu", ["seen"], ["kept"]),
        helper.make_node("Conv", ["kept", "tell.w", "tell.b"], ["logits"]),
    ]
    value = "logits"
    if squash is not None:
        axis = {"axis": 1} if squash == "Softmax" else {}
        nodes.append(helper.make_node(squash, [value], ["squashed"], **axis))
        value = "squashed"
    shape: list[int | str] = ["n", outputs, *area]
    if last:
        nodes.append(helper.make_node("Transpose", [value], ["answer"], perm=[0, 2, 3, 1]))
        shape = ["n", *area, outputs]
    elif flat:
        nodes.append(helper.make_node("Squeeze", [value, "one"], ["answer"]))
        shape = ["n", *area]
    else:
        nodes.append(helper.make_node("Identity", [value], ["answer"]))
    weights = {
        "see.w": net.see.weight, "see.b": net.see.bias,
        "tell.w": net.tell.weight, "tell.b": net.tell.bias,
    }  # fmt: skip
    constants = [
        numpy_helper.from_array(one.detach().numpy(), name) for name, one in weights.items()
    ]
    constants.append(numpy_helper.from_array(np.array([1], np.int64), "one"))
    inputs: list[int | str] = ["n", *area, channels] if last else ["n", channels, *area]
    graph = helper.make_graph(
        nodes,
        "spots",
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, inputs)],
        [helper.make_tensor_value_info("answer", TensorProto.FLOAT, shape)],
        constants,
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8)


@torch.no_grad()
def logits_of(net: SpotNet, image: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return what the net answers to a whole image, (K, rows, columns)."""
    answer: NDArray[np.float32] = net(torch.from_numpy(image[None]))[0].numpy()
    return answer
