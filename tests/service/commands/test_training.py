import sys

import pytest
from typer.testing import CliRunner

from service.cli import app
from service.commands import training

pytestmark = pytest.mark.unit


def test_what_is_asked_is_passed_on_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    started: list[list[str]] = []
    monkeypatch.setattr(training, "find_spec", lambda _: True)
    monkeypatch.setattr("os.execv", lambda _, command: started.append(command))
    arguments = ["evaluate", "net.onnx", "--external", "rsna-640", "--help"]
    assert CliRunner().invoke(app, arguments).exit_code == 0
    assert started == [[sys.executable, "-P", "-m", "model_export", *arguments]]


@pytest.mark.parametrize("arguments", [["train", "runs/x"], ["train", "--help"], ["export"]])
def test_without_the_extra_a_sentence_says_how_to_get_it(
    monkeypatch: pytest.MonkeyPatch, arguments: list[str]
) -> None:
    monkeypatch.setattr(training, "find_spec", lambda name: None if name == "torch" else True)
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 2
    assert "pip install '.[train]' in the checkout" in result.stderr
    assert f"`{arguments[0]}` needs the extra `train`, torch is not installed" in result.stderr
