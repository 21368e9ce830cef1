import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from service.cli import EPILOG, Commands, app
from service.commands.training import PASSED_ON
from service.exit_status import MEANINGS
from tests.thinned import thinned

pytestmark = pytest.mark.integration

HEAVY = ("numpy", "pydicom", "fastapi", "onnxruntime", "cv2", "structlog", "httpx")

LISTED = f"""
import sys
from service.cli import EPILOG, app
try:
    app(sys.argv[1:])
except SystemExit:
    pass
print(*sorted({HEAVY!r} & sys.modules.keys()), file=sys.stderr)
""".replace("('", "{'").replace("')", "'}")


def said(*arguments: str) -> str:
    result = CliRunner().invoke(app, list(arguments), env={"COLUMNS": "200"})
    return " ".join(result.output.split())


@pytest.mark.parametrize(
    "arguments", [("--help",), ("--version",), (), ("sgment",), ("segment", "--help")]
)
def test_what_needs_no_command_imports_none(arguments: tuple[str, ...]) -> None:
    run = subprocess.run(
        [sys.executable, "-c", LISTED, *arguments], capture_output=True, text=True, check=True
    )
    assert run.stderr.splitlines()[-1] == ""


@pytest.mark.parametrize("name", Commands.deferred)
def test_every_command_that_is_listed_is_there_and_has_help(name: str) -> None:
    command = Commands.deferred[name].load(name)
    assert getattr(command, "commands", None) or command.name == name
    assert command.help
    assert name in said("--help")


def test_no_arguments_show_the_help() -> None:
    result = CliRunner().invoke(app, [])
    assert result.exit_code == 2
    assert "Usage:" in result.output


def test_an_unknown_command_is_said_with_the_nearest() -> None:
    result = CliRunner().invoke(app, ["sgment"])
    assert result.exit_code == 2
    assert "Did you mean 'segment'?" in result.output


def test_the_help_tells_every_exit_status_and_shows_examples() -> None:
    help = said("--help")
    assert all(f"{status}: {meaning}" in help for status, meaning in MEANINGS.items())
    assert "mammoseg segment study/" in help
    # Without keys it would refuse to listen there.
    assert all("KEYS_FILE=" in line for line in EPILOG.splitlines() if "0.0.0.0" in line)


def test_the_version_is_that_of_the_package() -> None:
    project = tomllib.loads((Path(__file__).parents[3] / "pyproject.toml").read_text())["project"]
    assert said("--version") == f"mammoseg {project['version']}"


@pytest.mark.parametrize("shell", thinned(["bash", "zsh", "fish"], 3))
def test_completion_names_commands_and_formats(shell: str) -> None:
    command = [sys.executable, "-c", "import sys; sys.argv[0] = 'mammoseg'; "
               "from service.cli import main; main()"]  # fmt: skip

    def completed(line: str) -> str:
        variables = {
            "_MAMMOSEG_COMPLETE": f"complete_{shell}",
            "_TYPER_COMPLETE_ARGS": line,
            "_TYPER_COMPLETE_FISH_ACTION": "get-args",
            "COMP_WORDS": line,
            "COMP_CWORD": str(len(line.split(" ")) - 1),
        }
        ended = subprocess.run(
            command,
            env={"PATH": "/usr/bin"} | variables,
            capture_output=True,
            text=True,
            check=False,
        )
        assert "Traceback" not in ended.stderr, ended.stderr
        return ended.stdout

    assert "segment" in completed("mammoseg seg")
    assert "json,seg-fractional" in completed("mammoseg segment --format json,seg-f")


def test_the_training_commands_are_those_of_the_training_program() -> None:
    from model_export.cli import app as training

    names = typer.main.get_command(training).commands.keys()  # type: ignore[attr-defined]
    assert PASSED_ON.keys() == names - {"verify"}
