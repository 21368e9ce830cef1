"""The site as it is built: every link leads somewhere, and nothing on it comes from elsewhere."""

import importlib.util
import os
from dataclasses import dataclass, field
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urldefrag

import pytest

from docs.generator.__main__ import build

# Links from page to page are `test_staging`'s, each time; the site itself takes seven seconds.
pytestmark = [pytest.mark.integration, pytest.mark.slow, pytest.mark.long]

FETCHED = {
    ("script", "src"),
    ("img", "src"),
    ("link", "href"),
    ("iframe", "src"),
    ("source", "src"),
}
"""What a browser fetches by itself."""


@dataclass
class Page(HTMLParser):
    """The anchors of a page, and what it links to or fetches."""

    ids: set[str] = field(default_factory=set)
    links: list[tuple[str, str, str]] = field(default_factory=list)

    def __post_init__(self) -> None:
        super().__init__()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        for name, value in attrs:
            if name == "id" and value:
                self.ids.add(value)
            elif name in ("href", "src") and value:
                self.links.append((tag, name, value))


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    if importlib.util.find_spec("zensical") is None:
        if "TESTS_REQUIRE_ALL" in os.environ:
            pytest.fail("zensical is not installed")
        pytest.skip("zensical is not installed")
    place = tmp_path_factory.mktemp("site")
    assert build(place=place) == 0
    return place / "build" / "site"


@pytest.fixture(scope="module")
def pages(site: Path) -> dict[Path, Page]:
    found = {}
    for file in site.rglob("*.html"):
        page = found[file.resolve()] = Page()
        page.feed(file.read_text(encoding="utf-8"))
    return found


def test_every_link_and_anchor_leads_somewhere(pages: dict[Path, Page], site: Path) -> None:
    lost = []
    for file, page in pages.items():
        if file.name == "404.html":
            continue  # Its links begin at the root of wherever it is served.
        for _, _, link in page.links:
            path, anchor = urldefrag(unquote(link))
            if ":" in path.split("/")[0]:
                continue
            target = (file.parent / path).resolve() if path else file
            known = pages[target].ids if target in pages else set()
            if not target.is_file() or (anchor and anchor not in known):
                lost.append((str(file.relative_to(site)), link))
    assert lost == []


def test_a_page_fetches_nothing_from_elsewhere(pages: dict[Path, Page], site: Path) -> None:
    fetched = [
        (str(file.relative_to(site)), link)
        for file, page in pages.items()
        for tag, name, link in page.links
        if (tag, name) in FETCHED and link.startswith(("http:", "https:", "//"))
    ]
    assert fetched == []
    for sheet in site.rglob("*.css"):
        text = sheet.read_text(encoding="utf-8")
        assert "url(http" not in text and "@import" not in text


def test_the_search_finds_a_code_without_a_server(pages: dict[Path, Page], site: Path) -> None:
    index = (site / "search.js").read_text(encoding="utf-8")
    assert "decode-limit" in index and "docs/problems.html" in index
    # Pages of source files are shown, not found.
    assert "service/settings.py.html" not in index
    sources = {
        link for _, name, link in pages[(site / "index.html").resolve()].links if name == "src"
    }
    assert any(link.endswith("iframe-worker.js") for link in sources)
