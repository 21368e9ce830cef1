"""What is read as a model: one regular file of bounded size, with all tensors inside."""

import os
import resource
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from service.errors import ContractError, StartupError
from service.inference import model_file
from service.inference.session import Session
from service.models import BUNDLED_MODEL
from service.startup.models import open_net
from tests.identity_net import write_identity_net

pytestmark = pytest.mark.integration


def outside() -> TensorProto:
    """Return a tensor whose data are in a file."""
    tensor = numpy_helper.from_array(np.array([1.0], np.float32), "outside")
    tensor.ClearField("raw_data")
    tensor.data_location = TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value="weights.bin")
    return tensor


def graph_of(*tensors: TensorProto) -> onnx.GraphProto:
    return helper.make_graph([], "inner", [], [], list(tensors))


def as_initializer(model: onnx.ModelProto) -> None:
    model.graph.initializer.append(outside())


def as_constant(model: onnx.ModelProto) -> None:
    model.graph.node.append(helper.make_node("Constant", [], ["c"], value=outside()))


def in_a_branch(model: onnx.ModelProto) -> None:
    node = helper.make_node("If", ["c"], ["d"], then_branch=graph_of(outside()))
    model.graph.node.append(node)


def in_a_function(model: onnx.ModelProto) -> None:
    node = helper.make_node("Constant", [], ["c"], value=outside())
    ids = [helper.make_opsetid("", 18)]
    model.functions.append(helper.make_function("own", "f", [], ["c"], [node], ids))


def as_sparse(model: onnx.ModelProto) -> None:
    sparse = model.graph.sparse_initializer.add()
    sparse.values.CopyFrom(outside())


def in_a_training(model: onnx.ModelProto) -> None:
    model.training_info.add().algorithm.CopyFrom(graph_of(outside()))


def without_a_place(model: onnx.ModelProto) -> None:
    tensor = outside()
    del tensor.external_data[:]
    model.graph.initializer.append(tensor)


PLACES = (
    as_initializer,
    as_constant,
    in_a_branch,
    in_a_function,
    as_sparse,
    in_a_training,
    without_a_place,
)


@pytest.mark.parametrize("put", PLACES)
def test_a_model_with_data_in_other_files_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, put: Callable[[onnx.ModelProto], None]
) -> None:
    path = write_identity_net(tmp_path / "net.onnx")
    model = onnx.load(str(path))
    put(model)
    path.write_bytes(model.SerializeToString())
    (tmp_path / "weights.bin").write_bytes(np.array([1.0], np.float32).tobytes())
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ContractError, match="external data"):
        Session.open(path)


def test_a_model_that_says_that_its_data_are_inside_is_taken(tmp_path: Path) -> None:
    path = write_identity_net(tmp_path / "net.onnx")
    model = onnx.load(str(path))
    for tensor in model.graph.initializer:
        tensor.data_location = TensorProto.DEFAULT
    path.write_bytes(model.SerializeToString())
    Session.open(path)


@pytest.mark.parametrize("node", ["ConstantOfShape", "Expand"])
def test_a_model_that_makes_a_large_constant_is_refused(tmp_path: Path, node: str) -> None:
    path = write_identity_net(tmp_path / "net.onnx")
    model = onnx.load(str(path))
    model.graph.initializer.append(numpy_helper.from_array(np.array([2**31], np.int64), "shape"))
    given = ["one", "shape"] if node == "Expand" else ["shape"]
    model.graph.node.insert(0, helper.make_node(node, given, ["large"]))
    model.graph.node.insert(1, helper.make_node("ReduceMax", ["large"], ["top of it"], keepdims=0))
    # Needed for the answer, so that it is worked out.
    (flat,) = (one for one in model.graph.node if one.op_type == "Mul")
    flat.input[1] = "top of it"
    path.write_bytes(model.SerializeToString())
    before = resource.getrlimit(resource.RLIMIT_DATA)
    with pytest.raises(StartupError, match="allocate"):
        open_net(path)
    assert resource.getrlimit(resource.RLIMIT_DATA) == before


def test_the_bundled_model_is_whole() -> None:
    assert model_file.read_model(BUNDLED_MODEL) == BUNDLED_MODEL.read_bytes()


def test_what_is_no_regular_file_is_refused_unread(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    for path in (Path("/dev/zero"), tmp_path / "fifo", tmp_path):
        with pytest.raises(ContractError, match="no regular file"):
            Session.open(path)


def test_a_file_that_is_too_large_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write_identity_net(tmp_path / "net.onnx")
    monkeypatch.setattr(model_file, "MAX_MODEL_BYTES", path.stat().st_size)
    Session.open(path)
    monkeypatch.setattr(model_file, "MAX_MODEL_BYTES", path.stat().st_size - 1)
    with pytest.raises(ContractError, match="is over"):
        Session.open(path)


def test_a_model_cut_anywhere_or_of_any_bytes_is_refused(tmp_path: Path) -> None:
    path = write_identity_net(tmp_path / "net.onnx")
    whole, random = path.read_bytes(), np.random.default_rng(0)
    for length in random.integers(1, len(whole), 40):
        path.write_bytes(whole[:length])
        with pytest.raises(ContractError):
            Session.open(path)
        path.write_bytes(random.bytes(int(length)))
        with pytest.raises(ContractError):
            Session.open(path)


@pytest.mark.parametrize(
    ("name", "files", "said"),
    [
        ("results", ("dataset.json", "plans.json"), "folder of nnU-Net results"),
        ("bundle", ("configs/metadata.json",), "folder of MONAI bundle"),
        ("unet", ("config.json",), "segmentation-models-pytorch checkpoint"),
    ],
)
def test_another_frameworks_folder_is_told_the_command_that_adopts_it(
    name: str, files: tuple[str, ...], said: str, tmp_path: Path
) -> None:
    for file in files:
        (tmp_path / name / file).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name / file).write_text("{}")
    with pytest.raises(ContractError, match=rf"{said}: run `mammoseg adopt .*{name} --sample"):
        model_file.read_model(tmp_path / name)


@pytest.mark.parametrize("name", ["net.pt", "net.pt2", "net.pth", "net.ckpt", "net.safetensors"])
def test_another_frameworks_file_is_told_the_command_that_adopts_it(
    name: str, tmp_path: Path
) -> None:
    (tmp_path / name).write_bytes(b"PK\x03\x04 an archive")
    with pytest.raises(ContractError, match=rf"run `mammoseg adopt .*{name} --sample view\.dcm"):
        model_file.read_model(tmp_path / name)
