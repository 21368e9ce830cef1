"""TorchScript and exported programs."""

from pathlib import Path

import numpy as np
import pytest
import torch

from model_export.adopt.errors import AdoptError
from model_export.adopt.flags import Flags
from model_export.adopt.run import Naming, adopt
from tests.model_export.adopt.libraries import require_library
from tests.model_export.adopt.nets import (
    SPACING_MM,
    SpotNet,
    aim,
    display_of,
    logits_of,
    sigmoid,
)
from tests.model_export.adopt.served import demand_the_same, probability_from

pytestmark = [
    pytest.mark.integration,
    pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning"),
    pytest.mark.filterwarnings("ignore::torch.jit.TracerWarning"),
]

FLAGS = Flags(pixels="0..1", spacing_mm=SPACING_MM, activation="sigmoid")


def write_script(net: SpotNet, path: Path) -> None:
    torch.jit.trace(net, torch.zeros(1, 1, 64, 96)).save(str(path))


def write_program(net: SpotNet, path: Path) -> None:
    free = torch.export.Dim.DYNAMIC
    axes = ({0: free, 2: free, 3: free},)
    program = torch.export.export(net, (torch.zeros(2, 1, 64, 96),), dynamic_shapes=axes)
    torch.export.save(program, str(path))


@pytest.mark.parametrize(
    ("name", "write", "framework"),
    [
        ("net.pt", write_script, "torchscript"),
        pytest.param("net.pt2", write_program, "torch-export", marks=pytest.mark.long),
    ],
)
def test_a_torch_file_is_served_as_torch_answers(
    name: str, write, framework: str, view: Path, tmp_path: Path
) -> None:
    require_library("onnxscript", "onnxscript")
    display = display_of(view)
    net = aim(SpotNet(1, 1), display[None])
    wanted = sigmoid(logits_of(net, display[None]))[0]
    write(net, tmp_path / name)
    np.save(tmp_path / "expected.npy", wanted)
    target = tmp_path / "adopted.onnx"
    result = adopt(
        tmp_path / name, view, target, FLAGS, naming=Naming(),
        expected_path=tmp_path / "expected.npy",
    )  # fmt: skip
    assert result.contract.adopted.framework == framework
    demand_the_same(probability_from(target, view), wanted, display)


def test_a_torch_file_has_no_predictor_and_says_so(view: Path, tmp_path: Path) -> None:
    require_library("onnxscript", "onnxscript")
    net = aim(SpotNet(1, 1), display_of(view)[None])
    write_script(net, tmp_path / "net.pt")
    result = adopt(tmp_path / "net.pt", view, tmp_path / "a.onnx", FLAGS, naming=Naming())
    assert result.contract.adopted.proof == "unproven"
    assert "no predictor of its own" in result.remarks[0]


def test_a_damaged_torch_file_is_refused(view: Path, tmp_path: Path) -> None:
    (tmp_path / "net.pt2").write_bytes(b"PK\x03\x04 no program")
    with pytest.raises(AdoptError, match="does not load as an exported program"):
        adopt(tmp_path / "net.pt2", view, tmp_path / "a.onnx", FLAGS, naming=Naming())
