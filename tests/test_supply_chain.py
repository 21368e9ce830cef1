"""What is said of the parts that mammoseg is made of."""

import importlib.util
import json
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

pytestmark = pytest.mark.integration

ROOT = Path(__file__).parents[1]


@pytest.mark.long
def test_the_bill_of_materials_names_every_locked_package_and_the_weights(tmp_path: Path) -> None:
    lock, out = ROOT / "requirements" / "cpu.txt", tmp_path / "sbom.cdx.json"
    subprocess.run(
        [sys.executable, "-W", "ignore", ROOT / "deploy" / "sbom.py", out, "--lock", lock],
        check=True,
    )
    parts = json.loads(out.read_text())["components"]
    listed = {(part["name"], part.get("version")): part for part in parts}
    for line in lock.read_text().splitlines():
        name, equals, version = line.partition(" ")[0].partition("==")
        if equals:
            (distribution,) = listed[name, version]["externalReferences"]
            assert distribution["hashes"]
    model = listed["mammoseg-lite.onnx", None]
    assert model["type"] == "machine-learning-model"
    assert model["hashes"]


@pytest.fixture(scope="module")
def audit() -> ModuleType:
    """The script, as a module."""
    spec = importlib.util.spec_from_file_location("audit", ROOT / "requirements" / "audit.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


GOOD = {"name": "good", "version": "1", "vulns": []}
WEAK = {"name": "weak", "version": "1", "vulns": [{"id": "PYSEC-1"}]}
UNKNOWN = {"name": "unknown", "skip_reason": "not found"}


def test_a_package_that_is_weak_or_unknown_fails_an_audit(audit: ModuleType) -> None:
    assert audit.verdict([GOOD]) == (True, ["1 packages, 0 weak, 0 unknown"])
    assert audit.verdict([GOOD, WEAK])[0] is False
    assert "weak 1: PYSEC-1" in audit.verdict([GOOD, WEAK])[1]
    assert audit.verdict([GOOD, UNKNOWN])[0] is False


def test_where_nobody_can_be_asked_an_audit_says_so(audit: ModuleType) -> None:
    for packages in ([], [UNKNOWN]):
        well, said = audit.verdict(packages)
        assert well
        assert said == ["skipped, no database of weaknesses can be reached"]
