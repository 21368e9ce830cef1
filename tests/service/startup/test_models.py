"""Models open on a thread of their own while the rest is loaded, and none is left open."""

import threading
from pathlib import Path
from typing import Any

import pytest

from service.errors import ContractError
from service.settings import Settings
from service.startup import models as loading
from service.startup.models import models_opening
from tests.identity_net import write_identity_net
from tests.waiting import HANG_S

pytestmark = pytest.mark.integration


class Opened:
    is_closed = False

    def close(self) -> None:
        self.is_closed = True


def test_models_open_while_the_caller_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    goes_on, opened = threading.Event(), Opened()

    def open_models(_: Settings) -> Any:
        assert goes_on.wait(HANG_S)
        return opened

    monkeypatch.setattr(loading, "open_models", open_models)
    with models_opening(Settings()) as models:
        goes_on.set()
    assert models() is opened and not opened.is_closed


def test_what_fails_meanwhile_leaves_no_model_open(monkeypatch: pytest.MonkeyPatch) -> None:
    opened = Opened()
    monkeypatch.setattr(loading, "open_models", lambda _: opened)
    with pytest.raises(KeyError), models_opening(Settings()):
        raise KeyError
    assert opened.is_closed


def test_what_is_wrong_with_a_model_outranks_what_fails_meanwhile(tmp_path: Path) -> None:
    settings = Settings(model=str(tmp_path / "none.onnx"), device="cpu", readers=1)
    with pytest.raises(ContractError), models_opening(settings):
        raise MemoryError
    with models_opening(settings) as models:
        pass
    with pytest.raises(ContractError):
        models()


def test_a_model_that_opened_serves(tmp_path: Path) -> None:
    path = write_identity_net(tmp_path / "identity.onnx")
    settings = Settings(model=str(path), device="cpu", readers=1, runners=1)
    with models_opening(settings) as models:
        pass
    opened = models()
    assert opened.served[0].model.id == "identity"
    opened.close()
