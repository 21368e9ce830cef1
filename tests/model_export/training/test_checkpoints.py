import hashlib
from pathlib import Path

import pytest
import torch
from torch import nn

from model_export.training.checkpoints import averaged_weights, start_from

pytestmark = pytest.mark.unit


@pytest.fixture
def checkpoint(tmp_path: Path) -> Path:
    path = tmp_path / "last.ckpt"
    weights = {"net.weight": torch.full((1, 2), 3.0), "net.bias": torch.ones(1)}
    training = {"net.weight": torch.zeros(1, 2), "net.bias": torch.zeros(1)}
    torch.save({"state_dict": weights, "current_model_state": training}, path)
    return path


def test_the_averaged_weights_have_the_names_of_the_net(checkpoint: Path) -> None:
    weights = averaged_weights(checkpoint)
    assert sorted(weights) == ["bias", "weight"]
    assert weights["weight"].tolist() == [[3.0, 3.0]]


def test_a_net_starts_from_them_and_says_from_which(checkpoint: Path) -> None:
    net = nn.Linear(2, 1)
    found = start_from(net, checkpoint)
    assert net.weight.tolist() == [[3.0, 3.0]]
    assert found["sha256"] == hashlib.sha256(checkpoint.read_bytes()).hexdigest()
    assert found["checkpoint"] == str(checkpoint)


def test_another_net_or_no_file_is_refused(checkpoint: Path, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="holds another net"):
        start_from(nn.Linear(3, 1), checkpoint)
    with pytest.raises(FileNotFoundError):
        start_from(nn.Linear(2, 1), tmp_path / "none.ckpt")
