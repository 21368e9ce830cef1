"""The wheel has one import name, so that it lies in nobody's way and nobody lies in its."""

import ast
import subprocess
import sysconfig
import venv
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from requirements.one_import_name import FOLDERS, OneImportName, renamed

hatchling = pytest.importorskip("hatchling.builders.wheel")

pytestmark = pytest.mark.integration

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    (built,) = hatchling.WheelBuilder(str(ROOT)).build(directory=str(folder), versions=["standard"])
    return Path(built)


@pytest.fixture(scope="module")
def installed(wheel: Path) -> Path:
    """An environment with the wheel, and what this one has but for the checkout."""
    place = wheel.parent / "environment"
    venv.create(place, with_pip=False)
    packages = Path(sysconfig.get_path("purelib", vars={"base": str(place)}))
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(packages)
    # Lines of a .pth file are folders; what .pth files lie in those is not read.
    (packages / "dependencies.pth").write_text(sysconfig.get_path("purelib"))
    return packages


def in_the_wheel(installed: Path, *words: str) -> str:
    """Return what Python says there."""
    python = installed.parents[2] / "bin" / "python"
    ran = subprocess.run(
        [python, "-I", *words], cwd=installed.parent, capture_output=True, text=True, check=False
    )
    assert ran.returncode == 0, ran.stderr
    return ran.stdout


def test_it_installs_one_package(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        tops = {name.partition("/")[0] for name in archive.namelist()}
    assert {top for top in tops if not top.endswith(".dist-info")} == {"mammoseg"}


def test_two_builds_at_once_share_no_folder(tmp_path: Path) -> None:
    for folder in ("mammoseg", *FOLDERS):
        (tmp_path / folder).mkdir()
    (tmp_path / "service" / "segmenter.py").write_text("from service import errors\n")
    hooks = [OneImportName(str(tmp_path), {}, None, None, str(tmp_path), "wheel") for _ in range(2)]
    packed: list[dict[str, dict[str, str]]] = [{"force_include": {}} for _ in hooks]
    for hook, data in zip(hooks, packed, strict=True):
        hook.initialize("standard", data)
    one, other = (Path(*data["force_include"]) for data in packed)
    hooks[0].finalize("standard", packed[0], "")
    assert not one.exists()
    assert (other / "service" / "segmenter.py").exists()
    hooks[1].finalize("standard", packed[1], "")
    assert not other.exists()


def test_all_that_the_folders_hold_is_in_it(installed: Path) -> None:
    for folder in FOLDERS:
        files = subprocess.check_output(["git", "ls-files", folder], cwd=ROOT, text=True).split()
        assert files
        assert [f for f in files if not (installed / "mammoseg" / f).is_file()] == []


def test_it_runs_and_loads_nothing_of_a_checkout(installed: Path) -> None:
    """Every command's module, and readers in processes of their own."""
    script = """
import sys
from pathlib import Path
from mammoseg.service.cli import Commands
for name in {each.module for each in Commands.deferred.values()}:
    __import__(name)
from mammoseg.service.reading.pool import ReaderPool
from mammoseg.service.settings import Settings
ReaderPool(Settings(device="cpu").reader_options()).wait_until_ready().close()
print(*sorted({"service", "model_export"} & {name.partition(".")[0] for name in sys.modules}))
print(Path(sys.modules["mammoseg.service"].__file__).parent)
"""
    loaded, place = in_the_wheel(installed, "-c", script).split("\n")[:2]
    assert loaded == "" and place == str(installed / "mammoseg" / "service")


@pytest.mark.long
def test_the_training_code_is_found_beside_the_service(installed: Path) -> None:
    said = in_the_wheel(installed, "-m", "mammoseg", "evaluate", "--help")
    assert "mammoseg.model_export evaluate" in said


@pytest.mark.parametrize(
    ("source", "wanted"),
    [
        ("from service.a import b\n", "from mammoseg.service.a import b\n"),
        ("from service import a\n", "from mammoseg.service import a\n"),
        ("if x:\n    from model_export.a import (\n        b)\n",
         "if x:\n    from mammoseg.model_export.a import (\n        b)\n"),
        ("'''é\n\n    >>> from service.a import b\n'''\n",
         "'''é\n\n    >>> from mammoseg.service.a import b\n'''\n"),
        ("from services import a\nfrom .service import a\nx = 'from service import a'\n",) * 2,
    ],
)  # fmt: skip
def test_imports_are_renamed_and_nothing_else(source: str, wanted: str) -> None:
    assert renamed(source) == wanted


def test_an_import_that_cannot_be_renamed_ends_the_build() -> None:
    with pytest.raises(ValueError, match="line 2"):
        renamed("import os\nimport service.errors\n")


@pytest.fixture(scope="module")
def nodes() -> list[tuple[str, ast.AST]]:
    """Every constant, list and tuple of the folders, with the file that it stands in."""
    kinds = (ast.Constant, ast.List, ast.Tuple)
    return [
        (str(file.relative_to(ROOT)), node)
        for folder in FOLDERS
        for file in (ROOT / folder).rglob("*.py")
        for node in ast.walk(ast.parse(file.read_text("utf-8")))
        if isinstance(node, kinds)
    ]


def names_in_texts(nodes: list[tuple[str, ast.AST]]) -> Iterator[tuple[str, str]]:
    for file, node in nodes:
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield file, node.value


def test_no_command_is_of_a_module_by_its_name_in_the_checkout(
    nodes: list[tuple[str, ast.AST]],
) -> None:
    found = []
    for file, node in nodes:
        parts = node.elts if isinstance(node, ast.List | ast.Tuple) else []
        texts = [part.value for part in parts if isinstance(part, ast.Constant)]
        found += [file] * ("-m" in texts and bool({*FOLDERS} & {*texts}))
    assert found == []


def test_no_text_names_a_module_which_would_have_another_name_in_the_wheel(
    nodes: list[tuple[str, ast.AST]],
) -> None:
    found = []
    for file, text in names_in_texts(nodes):
        place = ROOT.joinpath(*text.split(".")) if text.partition(".")[0] in FOLDERS else None
        if place and "." in text and (place.is_dir() or place.with_suffix(".py").is_file()):
            found.append((file, text))
    assert found == []
