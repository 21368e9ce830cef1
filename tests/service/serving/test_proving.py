"""A file is proven where it can do no harm."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from service.errors import ContractError
from service.inference.model_file import ModelFile
from service.serving import proving
from service.serving.proving import prove
from tests.identity_net import identity_contract, write_identity_net
from tests.waiting import not_held_up

pytestmark = pytest.mark.integration


@pytest.fixture(autouse=True)
def _key(monkeypatch: pytest.MonkeyPatch) -> None:
    # Of the service; the copy that is proven is signed by nobody.
    monkeypatch.setenv("MAMMOSEG_MODEL_KEY", "/no/such.pub")


def descriptors() -> set[str]:
    return set(os.listdir("/proc/self/fd")) if sys.platform == "linux" else set()


def test_the_very_bytes_that_were_read_are_proven_and_nothing_is_left(tmp_path: Path) -> None:
    file = ModelFile.read(write_identity_net(tmp_path / "net.onnx"))
    file.path.write_bytes(b"something else by now")
    before = descriptors()
    prove(file)
    assert descriptors() == before


def test_a_file_that_does_not_hold_is_told_with_its_reason_and_its_own_path(tmp_path: Path) -> None:
    contract = identity_contract()
    golden = contract.golden.model_copy(update={"has_mask_logit": -2.0})
    wrong = contract.model_copy(update={"golden": golden})
    file = ModelFile.read(write_identity_net(tmp_path / "net.onnx", wrong))
    with pytest.raises(ContractError, match="golden tile does not reproduce") as refused:
        prove(file)
    assert str(file.path) in str(refused.value)
    assert "/proc" not in str(refused.value)


def of_command(monkeypatch: pytest.MonkeyPatch, script: str) -> None:
    """Let another process prove."""
    popen = subprocess.Popen
    monkeypatch.setattr(
        "subprocess.Popen", lambda command, **more: popen([sys.executable, "-c", script], **more)
    )


def test_a_hang_up_of_all_processes_is_no_fault_of_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    once = tmp_path / "once"
    of_command(
        monkeypatch,
        "import os, pathlib, signal\n"
        f"once = pathlib.Path({str(once)!r})\n"
        "if not once.exists():\n"
        "    once.touch()\n"
        "    os.kill(os.getpid(), signal.SIGHUP)\n",
    )
    prove(ModelFile.read(write_identity_net(tmp_path / "net.onnx")))
    assert once.exists()


def test_a_process_that_dies_takes_nothing_with_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    of_command(monkeypatch, "import os; os.abort()")
    with pytest.raises(ContractError, match="died of signal 6"):
        prove(ModelFile(tmp_path / "net.onnx", b"", ""))


def test_a_proof_without_end_is_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    of_command(monkeypatch, "import time; time.sleep(600)")
    monkeypatch.setattr(proving, "TIMEOUT_S", 0.1)
    with not_held_up(), pytest.raises(ContractError, match="was not proven within"):
        prove(ModelFile(tmp_path / "net.onnx", b"", ""))


def test_a_service_that_ends_waits_for_no_proof(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    of_command(monkeypatch, "import time; time.sleep(600)")
    with pytest.raises(ContractError, match="the service ends"):
        prove(ModelFile(tmp_path / "net.onnx", b"", ""), lambda: True)
