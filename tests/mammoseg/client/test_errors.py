import ast
import pickle
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

import service.errors
from mammoseg.client import errors
from mammoseg.client.errors import Problem, ProblemError, problem_error
from tests.mammoseg.client.scripted import Script, problem_answer

pytestmark = pytest.mark.integration

ROOT = Path(__file__).parents[3]

KINDS = {
    "UnreadableImage": errors.ImageUnreadable,
    "InvalidRequest": errors.RequestInvalid,
    "NoInbox": errors.RequestInvalid,
    "NotAcceptable": errors.FormNotAvailable,
    "RequestTimeout": errors.RequestInvalid,
    "TooLarge": errors.ImageTooLarge,
    "UrlTooLong": errors.RequestInvalid,
    "UnsupportedMedia": errors.MediaUnsupported,
    "UnsupportedCoding": errors.MediaUnsupported,
    "UnsuitableImage": errors.ImageUnsuitable,
    "MixedStudy": errors.NotOneStudy,
    "HeadersTooLarge": errors.RequestInvalid,
    "Overloaded": errors.Busy,
    "DeadlineExceeded": errors.DeadlineExceeded,
}
"""What each error of the service is to its clients."""

COMMAND_LINE = ("batch", "commands")
"""Folders whose errors no client meets."""


def raised() -> Iterator[tuple[str, str]]:
    """Yield each of the service's errors, class and code, as its source names them."""
    for file in sorted((ROOT / "service").rglob("*.py")):
        if file.relative_to(ROOT / "service").parts[0] in COMMAND_LINE:
            continue
        source = file.read_text(encoding="utf-8")
        # Parsing every file at each start of the tests would take a second of it.
        if "errors import" not in source:
            continue
        for node in ast.walk(ast.parse(source)):
            if (
                isinstance(node, ast.Call)
                and isinstance(node.func, ast.Name)
                and node.func.id in KINDS
                and node.args
                and isinstance(node.args[0], ast.Constant)
            ):
                yield node.func.id, str(node.args[0].value)


@pytest.mark.parametrize(("name", "code"), sorted(set(raised())))
def test_every_problem_of_the_service_has_its_class(name: str, code: str) -> None:
    status = getattr(service.errors, name).status
    assert type(problem_error(Problem(status, code, "", "", ""))) is KINDS[name]


def test_a_failed_device_is_told_from_a_busy_service() -> None:
    script = Script((problem_answer(503, "device-failed", **{"Retry-After": "100"}),))
    with pytest.raises(errors.DeviceFailed) as error:
        script.client().segment(b"image")
    assert error.value.problem == Problem(503, "device-failed", "No", "why", "r-1")


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        (httpx.Response(401, text="who?"), errors.AccessDenied),
        (httpx.Response(403, json=[1]), errors.AccessDenied),
        (httpx.Response(404, json={"code": 7}), errors.RequestInvalid),
        (httpx.Response(500), errors.ServiceFailed),
        (httpx.Response(301, headers={"Location": "/"}), errors.RequestInvalid),
    ],
)
def test_what_is_no_problem_document_is_an_error_by_its_status(
    answer: httpx.Response, kind: type[ProblemError]
) -> None:
    with pytest.raises(kind) as error:
        Script((answer,)).client().segment(b"image")
    assert error.value.code == f"http-{answer.status_code}"


def test_errors_travel_between_processes() -> None:
    error = problem_error(Problem(503, "busy", "t", "d", "r"), 3.0)
    copy = pickle.loads(pickle.dumps(error))
    assert (type(copy), copy.problem, copy.retry_after_s) == (errors.Busy, error.problem, 3.0)
