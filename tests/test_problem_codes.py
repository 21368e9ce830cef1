"""docs/problems.md: every code that the service can answer with has an entry, and no other."""

import ast
import re
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import pytest

from service import errors
from service.api import problems
from service.errors import MammosegError
from service.reading.refusals import REFUSALS

pytestmark = pytest.mark.integration

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "problems.md"

CLASSES = {
    name: kind
    for name, kind in vars(errors).items()
    if isinstance(kind, type) and issubclass(kind, MammosegError)
}


def calls(*names: str) -> Iterator[tuple[str, ast.Call]]:
    """Return the calls of these functions and classes in the service, by name."""
    for file in (ROOT / "service").rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call):
                name = getattr(node.func, "id", getattr(node.func, "attr", ""))
                if name in names:
                    yield name, node


def first_text(call: ast.Call) -> str | None:
    first = call.args[0] if call.args else None
    return first.value if isinstance(first, ast.Constant) and isinstance(first.value, str) else None


def codes_of_classes() -> Iterator[tuple[str, str]]:
    """Return the classes of errors that bring their own code, with it."""
    source = (ROOT / "service" / "errors.py").read_text(encoding="utf-8")
    for kind in ast.parse(source).body:
        if isinstance(kind, ast.ClassDef) and kind.name in CLASSES:
            for node in ast.walk(kind):
                if not isinstance(node, ast.Call) or ast.unparse(node.func) != "super().__init__":
                    continue
                if code := first_text(node):
                    yield kind.name, code


def codes_of_the_service() -> dict[str, set[int]]:
    """Return each code with the statuses that it is answered with."""
    found: dict[str, set[int]] = defaultdict(set)
    for name, call in calls(*CLASSES):
        if code := first_text(call):
            found[code].add(CLASSES[name].status)
    for code, kind in REFUSALS.items():
        found[code].add(kind.status)
    for status, (code, _) in problems._HTTP.items():
        found[code].add(status)
    for name, code in codes_of_classes():
        found[code].add(CLASSES[name].status)
    found["http-error"] = set()
    found["client-left"].discard(errors.CallerLeft.status)  # nobody is there to see it
    return found


def entries() -> tuple[dict[str, tuple[int, str]], dict[str, str]]:
    """Return the page's problems, each with the status it is under and its text; its warnings."""
    text = PAGE.read_text(encoding="utf-8")
    told: dict[str, tuple[int, str]] = {}
    warnings: dict[str, str] = {}
    for section in re.split(r"^## ", text, flags=re.MULTILINE)[1:]:
        status = re.match(r"(\d{3}): ", section)
        for entry in re.split(r"^### ", section, flags=re.MULTILINE)[1:]:
            code, _, words = entry.partition("\n")
            if status:
                told[code] = int(status[1]), words
            else:
                warnings[code] = words
    return told, warnings


def test_every_problem_code_has_an_entry_and_every_entry_a_code() -> None:
    told, _ = entries()
    assert set(codes_of_the_service()) - set(told) == set(), "add an entry to docs/problems.md"
    assert set(told) - set(codes_of_the_service()) == set(), "no longer a code"


def test_an_entry_stands_under_the_status_that_is_answered() -> None:
    told, _ = entries()
    wrong = {
        code: (told[code][0], statuses)
        for code, statuses in codes_of_the_service().items()
        if statuses and code in told and told[code][0] not in statuses
    }
    assert wrong == {}


def test_every_entry_says_what_it_means_and_what_to_do() -> None:
    told, warnings = entries()
    for code, words in ({code: words for code, (_, words) in told.items()} | warnings).items():
        means, mark, remedy = words.partition("**Do:**")
        assert means.strip() and mark and remedy.strip(), code


def test_every_warning_has_an_entry_in_its_own_words_and_every_entry_a_warning() -> None:
    _, told = entries()
    made = {
        code: ast.literal_eval(call.args[1])
        for _, call in calls("Caveat")
        if (code := first_text(call))
    }
    assert told.keys() == made.keys()
    for code, words in told.items():
        assert made[code] in " ".join(words.split()), code


def test_a_warning_fits_into_a_dicom_object_of_whatever_character_set() -> None:
    for _, call in calls("Caveat"):
        if first_text(call):
            words = ast.literal_eval(call.args[1])
            assert words.isascii() and len(words) < 300, words


def test_a_code_is_written_where_it_is_raised() -> None:
    passed_on = {"error.code", "code"}
    for name, call in calls(*CLASSES):
        if call.args and not first_text(call):
            assert ast.unparse(call.args[0]) in passed_on, f"{name}({ast.unparse(call)})"
