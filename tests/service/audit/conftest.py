import subprocess
from collections.abc import Callable, Iterable
from pathlib import Path

import pytest

from tests.programs import require_program

SCHEMA = Path(__file__).with_name("audit_message.rnc")


@pytest.fixture
def faults(tmp_path: Path) -> Callable[[Iterable[bytes]], str]:
    """Say what jing finds wrong with messages by the standard's schema; nothing if all is right."""
    jing = require_program("jing", "jing")
    folder = tmp_path / "messages"

    def validate(messages: Iterable[bytes]) -> str:
        folder.mkdir(exist_ok=True)
        files = []
        for number, message in enumerate(messages):
            file = folder / f"{number}.xml"
            file.write_bytes(message)
            files.append(str(file))
        assert files
        done = subprocess.run(
            [jing, "-c", str(SCHEMA), *files], capture_output=True, text=True, check=False
        )
        assert done.returncode in (0, 1), done.stderr
        return done.stdout + done.stderr

    return validate
