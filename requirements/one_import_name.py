"""Builds the wheel with one import name: `service` is installed as `mammoseg.service`.

In the repository `service/`, `model_export/` and `mammoseg/` lie side by side and import each other
by those names. Installed so, the first two would be anybody's `service`. In the wheel they lie
below `mammoseg`, and their imports of each other say so, line for line; nothing else is changed. An
editable installation is the repository as it is.
"""

import ast
import re
import shutil
import tempfile
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

FOLDERS = ("service", "model_export")
NAME = "mammoseg"
EXAMPLE = re.compile(rf"^(\s*(?:>>>|\.\.\.) from )({'|'.join(FOLDERS)})(?=[.\s])", re.MULTILINE)
"""An import in an example of a docstring."""


class OneImportName(BuildHookInterface[Any]):
    """What hatchling calls before it packs the wheel."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Write the renamed package, and have it packed in place of the folders."""
        if version == "editable":
            return
        root = Path(self.root)
        # Its own each time: two builds of one checkout may run at once. Gone with this hook.
        self._folder = tempfile.TemporaryDirectory(prefix="mammoseg-wheel-")
        built = Path(self._folder.name) / NAME
        leave_out = shutil.ignore_patterns("__pycache__", "*.pyc")
        shutil.copytree(root / NAME, built, ignore=leave_out)
        for folder in FOLDERS:
            shutil.copytree(root / folder, built / folder, ignore=leave_out)
        for file in built.rglob("*.py"):
            file.write_text(renamed(file.read_text("utf-8")), "utf-8")
        build_data["force_include"][str(built)] = NAME

    def finalize(self, version: str, build_data: dict[str, Any], artifact_path: str) -> None:
        """Delete what was packed."""
        if version != "editable":
            self._folder.cleanup()


def renamed(source: str) -> str:
    """Return a module's text with its imports by the names that they have in the wheel.

    Raises
    ------
    ValueError
        It imports a folder in another way than by `from ... import ...`.
    """
    lines = source.splitlines(keepends=True)
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import) and any(_is_ours(alias.name) for alias in node.names):
            raise ValueError(f"line {node.lineno}: write `from ... import ...`")
        if isinstance(node, ast.ImportFrom) and not node.level and _is_ours(node.module or ""):
            line, at = node.lineno - 1, node.col_offset + len("from ")
            lines[line] = f"{lines[line][:at]}{NAME}.{lines[line][at:]}"
    return EXAMPLE.sub(rf"\1{NAME}.\2", "".join(lines))


def _is_ours(module: str) -> bool:
    return module.partition(".")[0] in FOLDERS
