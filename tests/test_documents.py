"""What strangers read first: every link leads somewhere, and versions agree."""

import re
import tomllib
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import pytest
import yaml
from markdown_it import MarkdownIt
from markdown_it.token import Token

from service.demo import MAMMOGRAM
from service.settings import Settings

pytestmark = pytest.mark.integration

ROOT = Path(__file__).parents[1]

NO_MEASUREMENTS = {"0.01", "0.5", "0.78", "0.98"}
"""Settings of the model, chance, and scores of an example."""

PAGES = sorted(page for page in ROOT.glob("[A-Z]*.md")) + sorted(
    page
    for folder in ("benchmarks", "deploy", "docs", "model_export", "service", "tests")
    for page in (ROOT / folder).rglob("*.md")
)


def parsed(page: Path) -> list[Token]:
    return MarkdownIt("commonmark").enable("table").parse(page.read_text("utf-8"))


def links(tokens: list[Token]) -> Iterator[str]:
    """Return what links, pictures and the HTML of a page point to."""
    for token in tokens:
        yield from links(token.children or [])
        yield from (str(token.attrs[key]) for key in ("href", "src") if key in token.attrs)
        if token.type in ("html_block", "html_inline"):
            yield from re.findall(r'(?:href|src)="([^"]+)"', token.content)


def anchors(page: Path) -> set[str]:
    """Return the anchors that GitHub gives to the headings of a page."""
    tokens = parsed(page)
    titles = [after.content for token, after in pairwise(tokens) if token.type == "heading_open"]
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_relative_link_leads_somewhere(page: Path) -> None:
    lost = []
    for link in links(parsed(page)):
        path, _, anchor = link.partition("#")
        if re.match(r"[a-z]+:", link):
            continue
        target = page.parent / path if path else page
        if not target.exists() or (anchor and anchor not in anchors(target)):
            lost.append(link)
    assert lost == []


@pytest.mark.parametrize("package", ["service", "model_export", "mammoseg"])
def test_all_packages_tell_type_checkers_that_they_are_typed(package: str) -> None:
    assert (ROOT / package / "py.typed").is_file()


def test_changelog_and_citation_name_the_version_of_the_package() -> None:
    version = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]["version"]
    changelog = (ROOT / "CHANGELOG.md").read_text("utf-8")
    assert re.findall(r"^## \[([\d.]+)\] - \d{4}-\d\d-\d\d$", changelog, re.MULTILINE)[0] == version
    assert yaml.safe_load((ROOT / "CITATION.cff").read_text("utf-8"))["version"] == version


def test_every_setting_stands_in_a_table() -> None:
    pages = [(ROOT / "docs" / name).read_text("utf-8") for name in ("settings.md", "inbox.md")]
    told = {name for page in pages for name in re.findall(r"`([A-Z_]+)`", page)}
    assert {name.upper() for name in Settings.model_fields} - told == set()


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_module_that_a_page_has_run_is_there(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    for name in re.findall(r"python -m ((?:benchmarks|model_export|service|tests)\b[\w.]*)", text):
        path = ROOT.joinpath(*name.rstrip(".").split("."))
        assert path.with_suffix(".py").is_file() or (path / "__main__.py").is_file(), name


@pytest.mark.parametrize(
    ("page", "source"),
    [
        ("docs/numbers.md", "docs/model-report/report.md"),
        ("docs/hardware.md", "benchmarks/README.md"),
    ],
)
def test_a_measured_figure_stands_where_it_was_written_down_with_its_command(
    page: str, source: str
) -> None:
    told = set(re.findall(r"\b\d+\.\d+\b(?![.\d])", (ROOT / page).read_text("utf-8")))
    known = (ROOT / source).read_text("utf-8")
    assert {figure for figure in told if figure not in known} - NO_MEASUREMENTS == set()


def test_the_limits_in_the_model_card_say_what_its_table_says() -> None:
    card = (ROOT / "service" / "models" / "MODEL_CARD.md").read_text("utf-8")
    table, _, limits = card.partition("<!-- end of figures -->")
    told = set(re.findall(r"\b0\.\d{3}\b", limits))
    assert len(told) > 8
    assert {figure for figure in told if figure not in table} == set()


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_test_that_a_page_names_is_there(page: Path) -> None:
    for name in re.findall(r"`((?:tests|service|model_export)/[\w./]+)`", page.read_text("utf-8")):
        assert (ROOT / name).exists(), name


FIRST_READ = [*PAGES, *sorted((ROOT / "service").rglob("*.py"))]


def test_nothing_is_installed_from_an_index_that_does_not_have_it() -> None:
    """The project is not on PyPI; `mammoseg[demo] @ git+https://...` names where it is."""
    named = re.compile(r"mammoseg\[[\w,-]+\](?! @ )|pip install (?:--[\w-]+ )*mammoseg\b")
    told = {str(page.relative_to(ROOT)) for page in FIRST_READ if named.search(page.read_text())}
    assert told == set()


def test_a_container_that_serves_is_given_keys_or_told_to_do_without() -> None:
    """Its address is open: it would end with status 2."""
    for page in PAGES:
        text = page.read_text("utf-8").replace("\\\n", " ")
        for command in re.findall(r"docker run [^\n`]*-p [^\n`]*", text):
            assert re.search(r"MAMMOSEG_(KEYS_FILE|ALLOW_ANONYMOUS)=", command), (page, command)
            assert "ALLOW_ANONYMOUS" not in command or "-p 127.0.0.1:" in command


def test_a_film_of_the_demo_is_what_the_first_pages_ask_about() -> None:
    for name in ("README.md", "docs/quickstart.md"):
        asked = re.findall(r"--data-binary @(\S+)", (ROOT / name).read_text("utf-8"))
        assert asked and set(asked) == {f"demo/{MAMMOGRAM}"}
