from pathlib import Path

import pytest

from tests.archive_files import write_archive
from tests.identity_net import write_identity_net
from tests.service.commands.runs import SHAPE


@pytest.fixture
def identity(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, borrowed_readers: None) -> None:
    """Have commands use the identity net on this machine, and leave logs as they are."""
    monkeypatch.setenv("MAMMOSEG_MODEL", str(write_identity_net(tmp_path / "identity.onnx")))
    monkeypatch.setenv("MAMMOSEG_DEVICE", "cpu")
    monkeypatch.setenv("MAMMOSEG_READERS", "1")
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    for module in ("archiving", "segmenting"):
        monkeypatch.setattr(f"service.commands.{module}.configure_logs", lambda *_, **__: None)


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    """A folder of six mammograms of two studies."""
    return write_archive(tmp_path / "archive", 6, SHAPE)
