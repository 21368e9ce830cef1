"""What a machine without AVX-512 runs, on one that has it."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks import avx2_only
from benchmarks.figures import instructions

pytestmark = pytest.mark.integration

SEEN = """
import json
from numpy._core._multiarray_umath import __cpu_features__ as seen
from service.inference.golden import check_golden
from service.inference.session import Session
from service.models import BUNDLED_MODEL
check_golden(Session.open(BUNDLED_MODEL))
print(json.dumps({name: seen[name] for name in ("AVX2", "FMA3", "AVX512F", "AVX512_SPR")}))
"""


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    try:
        return avx2_only.environment(tmp_path)
    except RuntimeError as error:
        pytest.skip(str(error))


def _run(code: str, environment: dict[str, str]) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", code]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)


def test_the_bundled_net_proves_itself_by_avx2_alone(environment: dict[str, str]) -> None:
    ran = _run(SEEN, environment)
    assert ran.returncode == 0, ran.stderr
    seen = json.loads(ran.stdout)
    assert not seen["AVX512F"] and not seen["AVX512_SPR"]
    assert seen == {**seen, "AVX2": True, "FMA3": True}


def test_a_fault_of_another_kind_still_ends_the_process(environment: dict[str, str]) -> None:
    assert _run("import ctypes; ctypes.string_at(0)", environment).returncode == -11


def test_figures_name_what_was_hidden(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(avx2_only.MARK, "1")
    assert instructions() == "AVX2 (all newer hidden)"


def test_a_machine_that_cannot_hide_it_is_told_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(RuntimeError, match="C compiler"):
        avx2_only.environment(tmp_path)
