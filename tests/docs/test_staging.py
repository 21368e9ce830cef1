"""The site is laid out from the repository's pages: nothing that they link to is lost."""

import os
import re
from pathlib import Path

import pytest
import yaml

from docs.generator.staging import link_targets, markdown_pages, site_path, stage, with_links

pytestmark = pytest.mark.integration

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def staged(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("site-source")
    assert stage(ROOT, folder) > 50
    return folder


def test_every_link_of_every_page_leads_to_something_that_is_laid_out(staged: Path) -> None:
    lost = [
        (str(page), str(target))
        for page in markdown_pages(staged)
        for target in link_targets((staged / page).read_text(encoding="utf-8"), page)
        if not (staged / target).is_file()
    ]
    assert lost == []


def test_pages_keep_their_places_and_their_words(staged: Path) -> None:
    for page in markdown_pages(ROOT):
        ours, theirs = (ROOT / page).read_text("utf-8"), (staged / page).read_text("utf-8")
        without_links = re.compile(r"\]\([^)]*\)|(?:href|src)=\"[^\"]*\"")
        assert without_links.sub("", ours) == without_links.sub("", theirs)


@pytest.mark.parametrize(
    ("link", "moved"),
    [
        ("../service/settings.py", "../service/settings.py.md"),
        ("../service/imaging", "../service/imaging/index.md"),
        ("../benchmarks", "../benchmarks/README.md"),
        ("../openapi.yaml", "api.md"),
        ("pacs.md#orthanc-hook", "pacs.md#orthanc-hook"),
        ("#here", "#here"),
        ("https://example.org/a", "https://example.org/a"),
    ],
)
def test_a_file_and_a_folder_become_pages(link: str, moved: str) -> None:
    text = with_links(f"[x]({link})", Path("docs/page.md"), lambda path: site_path(ROOT, path))
    assert text == f"[x]({moved})"


def navigation(node: object) -> list[str]:
    if isinstance(node, str):
        return [node]
    entries = node if isinstance(node, list) else list(node.values())  # type: ignore[attr-defined]
    return [page for entry in entries for page in navigation(entry)]


class Loader(yaml.SafeLoader):
    """Knows not what mkdocs.yml has Python apply."""


Loader.add_multi_constructor("tag:yaml.org,2002:python/", lambda *_: None)


def test_the_navigation_names_every_page_of_the_docs_and_nothing_else(staged: Path) -> None:
    settings = yaml.load((ROOT / "mkdocs.yml").read_text("utf-8"), Loader)
    named = navigation(settings["nav"])
    assert [page for page in named if not (staged / page).is_file()] == []
    docs = {page.as_posix() for page in markdown_pages(staged) if page.parts[0] == "docs"}
    assert docs - set(named) == set(), "add the page to nav in mkdocs.yml"


def test_the_site_is_kept_out_of_git() -> None:
    settings = yaml.load((ROOT / "mkdocs.yml").read_text("utf-8"), Loader)
    ignored = (ROOT / ".gitignore").read_text("utf-8").splitlines()
    for key in ("docs_dir", "site_dir"):
        assert settings[key].split(os.sep)[0] + "/" in ignored
