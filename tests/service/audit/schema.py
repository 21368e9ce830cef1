"""The standard's schema, asked by jing."""

import subprocess
from collections.abc import Iterable
from pathlib import Path

from tests.programs import require_program

SCHEMA = Path(__file__).with_name("audit_message.rnc")


def faults_of(messages: Iterable[bytes], folder: Path) -> str:
    """Say what jing finds wrong with messages by the standard's schema; nothing if all is right."""
    jing = require_program("jing", "jing")
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
    # On stderr its wrapper says which optional libraries of Java are not there.
    assert bool(done.stdout) == bool(done.returncode), done.stderr
    return done.stdout
