"""Nets of several outputs: which one is the map is asked, never guessed."""

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper
from PIL import Image

from model_export.adopt.errors import AdoptError, NotProven, Unanswered
from model_export.adopt.flags import Flags
from model_export.adopt.onnx_file import facts_of
from model_export.adopt.run import AdoptResult, Naming, adopt
from tests.model_export.adopt.libraries import require_library
from tests.model_export.adopt.nets import (
    SPACING_MM,
    SpotNet,
    aim,
    as_onnx,
    display_of,
    logits_of,
    sigmoid,
)

pytestmark = pytest.mark.integration

FLAGS: dict[str, Any] = {"pixels": "0..1", "spacing_mm": SPACING_MM, "activation": "sigmoid"}


def several(net: SpotNet, *names: str) -> onnx.ModelProto:
    """Write a net with other outputs before its own, "answer"."""
    model = as_onnx(net)
    graph, area = model.graph, ("h", "w")
    graph.initializer.append(numpy_helper.from_array(np.array(4, np.float32), "four"))
    made = {
        "uncertainty": (
            ("Neg", ["logits"], ["turned"]),
            ("Sub", ["turned", "four"], ["uncertainty"]),
        ),
        "score": (("GlobalMaxPool", ["logits"], ["top"]), ("Flatten", ["top"], ["score"])),
    }
    shapes = {"uncertainty": ["n", 1, *area], "score": ["n", 1]}
    for name in names:
        graph.node.extend(helper.make_node(*one) for one in made[name])
        graph.output.insert(0, helper.make_tensor_value_info(name, TensorProto.FLOAT, shapes[name]))
    return model


@pytest.fixture
def net(view: Path, tmp_path: Path) -> SpotNet:
    """A net, and beside it what it answers to the view."""
    display = display_of(view)[None]
    net = aim(SpotNet(1, 1), display)
    np.save(tmp_path / "expected.npy", sigmoid(logits_of(net, display))[0])
    return net


def adopted(model: onnx.ModelProto, view: Path, folder: Path, **flags: Any) -> AdoptResult:
    onnx.save(model, str(folder / "net.onnx"))
    return adopt(
        folder / "net.onnx",
        view,
        folder / "adopted.onnx",
        Flags(**(FLAGS | flags)),
        naming=Naming(),
        expected_path=folder / "expected.npy",
    )


def test_where_several_outputs_might_be_the_map_it_is_asked_which(
    net: SpotNet, view: Path, tmp_path: Path
) -> None:
    model = several(net, "uncertainty")
    with pytest.raises(Unanswered, match=r"uncertainty, answer\. --output NAME"):
        adopted(model, view, tmp_path)
    assert not (tmp_path / "adopted.onnx").exists()
    result = adopted(model, view, tmp_path, output="answer")
    assert result.found is not None and result.found.proves
    assert "of its outputs, uncertainty is left out." in result.remarks
    with pytest.raises(AdoptError, match="has the outputs uncertainty, answer"):
        adopted(model, view, tmp_path, output="mask")


def test_where_the_wrong_output_was_said_the_right_one_is_named(
    net: SpotNet, view: Path, tmp_path: Path
) -> None:
    with pytest.raises(NotProven, match="say --output answer instead of --output uncertainty"):
        adopted(several(net, "uncertainty"), view, tmp_path, output="uncertainty")


def test_an_output_that_can_be_no_map_is_left_out_and_told(
    net: SpotNet, view: Path, tmp_path: Path
) -> None:
    result = adopted(several(net, "score"), view, tmp_path)
    assert result.found is not None and result.found.proves
    assert "of its outputs, score is left out." in result.remarks


def test_a_map_of_another_size_is_no_map() -> None:
    model = as_onnx(SpotNet(1, 1), sides=(64, 96))
    small = helper.make_tensor_value_info("deep", TensorProto.FLOAT, ["n", 1, 32, 48])
    model.graph.output.insert(0, small)
    facts = facts_of(model)
    assert (facts.output, facts.maps, facts.others) == ("answer", (), ())


class Two(torch.nn.Module):
    """A net with another map before its own."""

    def __init__(self, net: SpotNet) -> None:
        super().__init__()
        self.net = net

    def forward(self, image: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        answer = self.net(image)
        return -answer - 4, answer


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")
@pytest.mark.filterwarnings("ignore::torch.jit.TracerWarning")
def test_a_torch_file_of_two_maps_is_asked_about_too(
    net: SpotNet, view: Path, tmp_path: Path
) -> None:
    require_library("onnxscript", "onnxscript")
    torch.jit.trace(Two(net), torch.zeros(1, 1, 64, 96)).save(str(tmp_path / "net.pt"))
    with pytest.raises(Unanswered, match="which of its outputs is the map: answer, ") as asked:
        adopt(tmp_path / "net.pt", view, tmp_path / "a.onnx", Flags(**FLAGS), naming=Naming())
    other = str(asked.value).partition("answer, ")[2].partition(". --output")[0]
    result = adopt(
        tmp_path / "net.pt", view, tmp_path / "a.onnx", Flags(**FLAGS, output=other),
        naming=Naming(), expected_path=tmp_path / "expected.npy",
    )  # fmt: skip
    assert result.found is not None and result.found.proves


def test_an_answer_of_several_pages_is_refused(net: SpotNet, view: Path, tmp_path: Path) -> None:
    pages = [Image.fromarray((display_of(view) * 255).astype(np.uint8))] * 2
    pages[0].save(tmp_path / "pages.tif", save_all=True, append_images=pages[1:])
    onnx.save(as_onnx(net), str(tmp_path / "net.onnx"))
    with pytest.raises(AdoptError, match=r"pages\.tif holds several pages"):
        adopt(
            tmp_path / "net.onnx", view, tmp_path / "a.onnx", Flags(**FLAGS),
            naming=Naming(), expected_path=tmp_path / "pages.tif",
        )  # fmt: skip
