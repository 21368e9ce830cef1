from collections.abc import Mapping
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from torch import nn

from model_export.config import TrainingConfig
from model_export.export import verify as verifying
from model_export.export.graph import OPSET
from model_export.export.run import export, load_net
from model_export.export.verify import ParityError, verify
from model_export.networks import SegmentationNet, SmallOptions
from service.inference.contract import Contract
from service.inference.session import Session
from tests.model_export.export.test_graph import PLAIN
from tests.model_export.lived_in import lived_in
from tests.model_export.tiny import tiny_config

pytestmark = pytest.mark.integration


@pytest.fixture(scope="module")
def config() -> TrainingConfig:
    return tiny_config()


@pytest.fixture(scope="module")
def net() -> SegmentationNet:
    return lived_in(SmallOptions())


@pytest.fixture(scope="module")
def exported(
    net: SegmentationNet, config: TrainingConfig, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    path = tmp_path_factory.mktemp("export") / "net.onnx"
    export(net, config, path, "1.2.3")
    return path


def metadata(path: Path) -> Mapping[str, str]:
    return {one.key: one.value for one in onnx.load(path).metadata_props}


def test_the_file_says_everything_about_itself(exported: Path, config: TrainingConfig) -> None:
    contract = Contract.from_metadata(metadata(exported))
    assert contract.version == "1.2.3"
    assert contract.spacing.working_mm == config.working_mm
    assert contract.normalisation == config.normalisation
    assert contract.provenance.training_data == ("cdd-cesm", "mini-mias", "rsna-640")


def test_the_graph_is_plain_and_batch_and_sides_are_free(exported: Path) -> None:
    model = onnx.load(exported)
    assert {node.op_type for node in model.graph.node} <= PLAIN
    assert [one.version for one in model.opset_import] == [OPSET]
    shapes = [
        [side.dim_param or side.dim_value for side in value.type.tensor_type.shape.dim]
        for value in (*model.graph.input, *model.graph.output)
    ]
    assert shapes == [
        ["batch", 1, "tile_rows", "tile_columns"],
        ["batch", 1, "probability_rows", "probability_columns"],
        ["batch", 1],
        ["batch", 1, "activation_rows", "activation_columns"],
    ]


def test_it_is_one_file_of_at_most_12_mb(exported: Path) -> None:
    assert [path.name for path in exported.parent.iterdir()] == [exported.name]
    assert exported.stat().st_size <= 12e6


def test_torch_and_onnx_runtime_agree(exported: Path, net: SegmentationNet) -> None:
    parity = verify(exported, net)
    assert max(parity.probability, parity.score) <= 1e-5


def test_another_net_is_told_apart_loudly(exported: Path, net: SegmentationNet) -> None:
    other = lived_in(SmallOptions())
    nn.init.constant_(other.head.project.bias, 0.01)
    with pytest.raises(ParityError, match="differ"):
        verify(exported, other)


def test_a_file_over_the_limit_is_refused(
    exported: Path, net: SegmentationNet, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(verifying, "MAX_FILE_BYTES", 1000)
    with pytest.raises(ParityError, match="bytes"):
        verify(exported, net)


def test_the_answer_does_not_depend_on_the_batch(exported: Path) -> None:
    session = Session.open(exported)
    tiles = np.random.default_rng(0).random((2, 1, 640, 640), np.float32)
    together, alone = session.run(tiles), session.run(tiles[1:])
    np.testing.assert_allclose(together.probability[1], alone.probability[0], atol=1e-5)
    np.testing.assert_allclose(together.has_mask[1], alone.has_mask[0], atol=1e-4)


def test_the_averaged_weights_of_a_checkpoint_are_read(
    net: SegmentationNet, tmp_path: Path
) -> None:
    path = tmp_path / "one.ckpt"
    weights = {f"net.{key}": value for key, value in net.state_dict().items()}
    torch.save({"state_dict": weights, "current_model_state": {}}, path)
    read = load_net(path, SmallOptions()).state_dict()
    assert all(torch.equal(read[key], value) for key, value in net.state_dict().items())
