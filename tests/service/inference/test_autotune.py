from pathlib import Path
from typing import Any

import numpy as np
import pytest

from service.errors import ContractError, DeviceError
from service.inference import autotune, cuda
from service.inference.autotune import open_fastest
from service.inference.batching import BATCH_SIZES
from service.inference.device import Device, Gpu, nvidia_device_visible
from service.inference.golden import eighth, golden_tile
from service.inference.provider_setup import ON_CPU, ProviderSetup
from service.inference.session import Session
from service.inference.warmup import seconds_a_run
from service.models import BUNDLED_MODEL
from tests.identity_net import TILE, identity_contract, write_identity_net

pytestmark = pytest.mark.integration

GPUS: list[Device] = ["cuda", "tensorrt"]


@pytest.fixture
def model(tmp_path: Path) -> Path:
    return write_identity_net(tmp_path / "net.onnx")


@pytest.mark.parametrize("device", GPUS)
def test_a_gpu_on_a_machine_without_one_stops_the_start(device: Device, model: Path) -> None:
    """No fallback, and the message says what is missing."""
    if nvidia_device_visible():
        pytest.skip("this machine has an NVIDIA device")
    with pytest.raises(DeviceError, match=rf"{device} .*(extra `cuda`|is missing|not visible)"):
        open_fastest(model, device, Gpu())


@pytest.mark.gpu
@pytest.mark.parametrize("setup", cuda.setups(Gpu()), ids=lambda setup: setup.name)
def test_cuda_computes_the_same_in_every_way_shape_and_batch(setup: ProviderSetup) -> None:
    if not nvidia_device_visible():
        pytest.skip("needs an NVIDIA device")
    expected, session = Session.open(BUNDLED_MODEL), Session.open(BUNDLED_MODEL, setup=setup)
    tolerance = session.contract.golden.tolerance
    for rows, columns in session.contract.tiling.shapes:
        tile = golden_tile(session.contract)[..., :rows, :columns]
        for batch in BATCH_SIZES["cuda"]:
            tiles = np.repeat(tile, batch, axis=0)
            found, right = session.run(tiles), expected.run(tiles[:1])
            for one in found.probability:
                deviation = np.abs(eighth(one) - eighth(right.probability[0])).max()
                assert deviation <= tolerance


def test_a_file_that_is_no_model_is_not_the_device_s_fault(tmp_path: Path) -> None:
    path = tmp_path / "text.onnx"
    path.write_text("no model")
    with pytest.raises(ContractError, match="not an ONNX model"):
        open_fastest(path, "cuda", Gpu())


@pytest.mark.parametrize("device", GPUS)
def test_one_setup_is_open_at_a_time_and_the_fastest_is_opened_anew(
    device: Device, model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = Session.open(model)
    opened: list[str] = []
    alive: set[str] = set()

    class Fake:
        contract, sha256 = plain.contract, plain.sha256

        def __init__(self, setup: ProviderSetup) -> None:
            assert not alive - {ON_CPU.name}
            self.setup = setup
            alive.add(setup.name)
            opened.append(setup.name)

        def __del__(self) -> None:
            alive.discard(self.setup.name)

    def measured(session: Any, batch: int) -> float:
        assert batch == BATCH_SIZES[device][-1]
        return 2.0 - 0.5 * (opened.index(session.setup.name) == 2)

    monkeypatch.setattr(Session, "open", lambda path, setup=ON_CPU: Fake(setup))
    monkeypatch.setattr(autotune, "seconds_a_run", measured)
    session = open_fastest(model, device, Gpu())
    assert session.setup.device == device
    assert opened[0] == ON_CPU.name and opened[-1] == session.setup.name == opened[2]
    assert len(opened) == len(set(opened)) + 1 >= 4


def test_without_trials_the_plainest_is_opened_at_once(
    model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    right, setups = Session.open, []

    def opened(path: Path, setup: ProviderSetup = ON_CPU) -> Session:
        setups.append(setup)
        return right(path)

    monkeypatch.setattr(Session, "open", opened)
    monkeypatch.setattr(autotune, "seconds_a_run", None)
    open_fastest(model, "cuda", Gpu(autotune=False))
    assert setups == [ON_CPU, cuda.setups(Gpu())[0]]


def test_what_is_measured_is_a_run_that_was_proven(model: Path) -> None:
    session = Session.open(model)
    ran: list[tuple[int, ...]] = []
    right = session.run
    session.run = lambda tiles: (ran.append(tiles.shape), right(tiles))[1]  # type: ignore
    assert seconds_a_run(session, 2) > 0
    assert set(ran) == {(2, 1, TILE, TILE)} and len(ran) > 1
    contract = identity_contract()
    golden = contract.golden.model_copy(update={"has_mask_logit": -1.0})
    session.contract = contract.model_copy(update={"golden": golden})
    with pytest.raises(DeviceError, match="golden"):
        seconds_a_run(session, 2)
