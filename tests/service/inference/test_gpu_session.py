"""A session set up for a GPU, with the CPU provider standing in for it."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest

from service.cancellation import CancelToken
from service.imaging.tiles import Tile
from service.inference import cuda
from service.inference import session as session_module
from service.inference.batching import BATCH_SIZES
from service.inference.device import Gpu
from service.inference.scheduler import TileScheduler
from service.inference.session import Session
from tests.identity_net import TILE, identity_contract, levels_contract, write_identity_net

pytestmark = pytest.mark.integration


class StandIn:
    """Takes the place of ONNX Runtime: what is asked of CUDA goes to the CPU, and is counted."""

    def __init__(self, library: Any) -> None:
        self._library = library
        self.providers: list[Any] = []
        self.config: list[tuple[str, str]] = []
        self.allocated = 0
        self.runs = 0
        self.OrtValue = self

    def __getattr__(self, name: str) -> Any:
        return getattr(self._library, name)

    def preload_dlls(self) -> None:
        pass

    def ortvalue_from_shape_and_type(self, shape: list[int], kind: Any, device: str, _: int) -> Any:
        assert device == "cuda"
        self.allocated += 1
        return onnxruntime.OrtValue.ortvalue_from_shape_and_type(shape, kind, "cpu", 0)

    def InferenceSession(self, model: bytes, options: Any, **given: Any) -> "Runtime":
        self.providers.append(given["providers"])
        self.config.append(
            ("fallback", options.get_session_config_entry("session.disable_cpu_ep_fallback"))
        )
        return Runtime(model, self)


class Runtime:
    def __init__(self, model: bytes, library: StandIn) -> None:
        self._session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
        self._library = library

    def __getattr__(self, name: str) -> Any:
        return getattr(self._session, name)

    def get_providers(self) -> list[str]:
        return [cuda.PROVIDER]

    def io_binding(self) -> Any:
        binding = self._session.io_binding()
        bind_output = binding.bind_output
        binding.bind_output = lambda name, device, _: bind_output(name, "cpu", 0)
        return binding

    def run_with_iobinding(self, binding: Any, options: Any) -> None:
        self._library.runs += 1
        self._session.run_with_iobinding(binding, options)

    def run(self, *_: Any) -> None:
        raise AssertionError("a GPU runs bound buffers alone")


@pytest.fixture
def library(monkeypatch: pytest.MonkeyPatch) -> StandIn:
    library = StandIn(onnxruntime)
    monkeypatch.setattr(session_module, "onnxruntime", library)
    monkeypatch.setattr(session_module, "missing_library", lambda *_: None)
    return library


@pytest.fixture(params=[identity_contract, levels_contract], ids=["values", "levels"])
def session(library: StandIn, tmp_path: Path, request: pytest.FixtureRequest) -> Session:
    setup = cuda.setups(Gpu(memory_mib=512))[-1]
    assert setup.graph
    return Session.open(write_identity_net(tmp_path / "net.onnx", request.param()), setup=setup)


@pytest.fixture
def scheduler(session: Session) -> Iterator[TileScheduler]:
    scheduler = TileScheduler(session)
    yield scheduler
    scheduler.close()


def test_it_is_opened_as_set_up_and_without_fallback(library: StandIn, session: Session) -> None:
    assert library.providers == [list(session.setup.providers)]
    assert library.config == [("fallback", "1")]
    assert session.device == "cuda"


def test_callers_get_their_own_and_nothing_is_allocated_after_the_warm_up(
    library: StandIn, scheduler: TileScheduler
) -> None:
    laid_out = library.allocated
    assert laid_out == len(BATCH_SIZES["cuda"])
    warmed = library.runs

    def ask(index: int) -> bool:
        values = [index / 50 + tile / 500 for tile in range(index % 5 + 1)]
        tiles = [Tile(0, 0, np.full((TILE, TILE), value, np.float32)) for value in values]
        answers = scheduler.run(tiles, CancelToken(30))
        found = [(float(one.probability.min()), float(one.probability.max())) for one in answers]
        return bool(np.allclose(found, [(value, value) for value in values], atol=1e-5))

    with ThreadPoolExecutor(8) as callers:
        assert all(callers.map(ask, range(40)))
    assert library.allocated == laid_out
    assert library.runs > warmed
