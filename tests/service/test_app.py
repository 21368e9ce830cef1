import subprocess
import sys

import pytest

pytestmark = pytest.mark.integration

SCRIPT = """
import sys, service.cli
for name in {each.module for each in service.cli.Commands.deferred.values()}:
    __import__(name)
loaded = {name.partition(".")[0] for name in sys.modules}
print(*sorted(loaded & {"torch", "lightning", "model_export", "onnx", "matplotlib"}))
"""


def test_the_service_runs_without_the_training_tools() -> None:
    run = subprocess.run([sys.executable, "-c", SCRIPT], capture_output=True, text=True, check=True)
    assert run.stdout.split() == []
