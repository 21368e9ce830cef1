"""Lays the repository's pages out for the generator, each in its own place.

A site has pages alone, and a repository has files and folders besides. Those that a page links to
become pages too: a file's text, a folder's list.
"""

import ast
import os
import re
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

from docs.generator.openapi_page import openapi_page

PAGE_FOLDERS = ("benchmarks", "deploy", "docs", "model_export", "service", "tests")
OPENAPI = Path("openapi.yaml")
API_PAGE = Path("docs/api.md")
SEARCH_SHIM = "iframe-worker.js"
PICTURES = frozenset((".png", ".svg", ".jpg"))
LANGUAGES = {".py": "python", ".toml": "toml", ".yaml": "yaml", ".lua": "lua", ".json": "json"}

_MARKDOWN_LINK = re.compile(r"(\]\()([^)\s]+)(\))")
_HTML_LINK = re.compile(r'((?:href|src)=")([^"]+)(")')
_NO_SEARCH = "---\nsearch:\n  exclude: true\n---\n\n"


def markdown_pages(root: Path) -> list[Path]:
    """Return the repository's own pages, relative to its root."""
    found = [*root.glob("[A-Z]*.md")]
    for folder in PAGE_FOLDERS:
        found += (root / folder).rglob("*.md")
    return sorted(page.relative_to(root) for page in found)


def stage(root: Path, staged: Path) -> int:
    """Write the pages, and what they link to, below a folder that is emptied first.

    Returns
    -------
    How many pages there are.
    """
    shutil.rmtree(staged, ignore_errors=True)
    pages = set(markdown_pages(root))
    linked: set[Path] = set()
    for page in sorted(pages):
        text = (root / page).read_text(encoding="utf-8")
        linked |= set(link_targets(text, page))
        _write(staged / page, with_links(text, page, lambda path: site_path(root, path)))
    for path in sorted(each for each in linked if site_path(root, each) not in pages):
        if path.suffix in PICTURES:
            (staged / path).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(root / path, staged / path)
        elif (root / path).is_dir():
            _write(staged / site_path(root, path), folder_page(root, path))
        elif path != OPENAPI:
            _write(staged / site_path(root, path), source_page(root, path))
    _write(staged / API_PAGE, openapi_page(root))
    (staged / "assets").mkdir()
    shutil.copy(Path(__file__).with_name(SEARCH_SHIM), staged / "assets")
    return len(list(staged.rglob("*.md")))


def link_targets(text: str, page: Path) -> Iterator[Path]:
    """Return what a page's relative links lead to, relative to the repository's root."""
    for pattern in (_MARKDOWN_LINK, _HTML_LINK):
        for _, link, _ in pattern.findall(text):
            if (path := link.partition("#")[0]) and ":" not in path:
                yield Path(os.path.normpath(page.parent / path))


def with_links(text: str, page: Path, place: Callable[[Path], Path]) -> str:
    """Have a page's relative links lead to where `place` says that a path is on the site."""

    def moved(match: re.Match[str]) -> str:
        before, link, after = match.groups()
        path, mark, anchor = link.partition("#")
        if not path or ":" in path:
            return match[0]
        target = place(Path(os.path.normpath(page.parent / path)))
        return f"{before}{os.path.relpath(target, page.parent)}{mark}{anchor}{after}"

    for pattern in (_MARKDOWN_LINK, _HTML_LINK):
        text = pattern.sub(moved, text)
    return text


def site_path(root: Path, path: Path) -> Path:
    """Return the page that stands for a path of the repository."""
    if path == OPENAPI:
        return API_PAGE
    if (root / path).is_dir():
        return path / ("README.md" if (root / path / "README.md").is_file() else "index.md")
    return path if path.suffix in PICTURES | {".md"} else path.with_name(f"{path.name}.md")


def source_page(root: Path, path: Path) -> str:
    """Return a page that shows a file."""
    text = (root / path).read_text(encoding="utf-8").rstrip("\n")
    language = LANGUAGES.get(path.suffix, "text")
    return f"{_NO_SEARCH}# {escaped(path)}\n\n~~~~~~ {language}\n{text}\n~~~~~~\n"


def folder_page(root: Path, path: Path) -> str:
    """Return a page that lists the files of a folder, Python's with their first sentence."""
    lines = [f"{_NO_SEARCH}# {escaped(path)}/", ""]
    for file in sorted((root / path).iterdir()):
        if file.name.startswith((".", "__pycache__")):
            continue
        summary = ""
        if file.suffix == ".py":
            summary = ast.get_docstring(ast.parse(file.read_text(encoding="utf-8"))) or ""
            summary = f": {summary.splitlines()[0]}" if summary else ""
        lines.append(f"- `{file.name}{'/' if file.is_dir() else ''}`{summary}")
    return "\n".join(lines) + "\n"


def escaped(path: Path) -> str:
    """Return a path as a heading shows it: `__init__` is no emphasis."""
    return path.as_posix().replace("_", r"\_")


def _write(file: Path, text: str) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text, encoding="utf-8")
