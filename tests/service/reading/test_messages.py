import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from service import imaging
from service.imaging.limits import ReadLimits
from service.imaging.reduced_decoding import ReducedDecoding
from service.reading.messages import (
    Look,
    LookAtFile,
    MoreMemory,
    Read,
    Request,
    decode_request,
    encode,
)
from service.reading.refusals import REFUSALS

pytestmark = pytest.mark.unit

ERRORS = {kind.__name__ for kind in REFUSALS.values()}


def refusals_in_the_source() -> Iterator[tuple[str, str]]:
    """Yield the code and the class of every error that reading an image may raise."""
    for file in Path(imaging.__file__).parent.rglob("*.py"):
        for call in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if (
                isinstance(call, ast.Call)
                and isinstance(call.func, ast.Name)
                and call.func.id in ERRORS
            ):
                code = call.args[0]
                assert isinstance(code, ast.Constant) and isinstance(code.value, str), (
                    f"{file}: a code that is worked out"
                )
                yield code.value, call.func.id


def test_a_reader_may_say_all_that_reading_may_say() -> None:
    known = {code: kind.__name__ for code, kind in REFUSALS.items()}
    assert dict(refusals_in_the_source()) == known


REQUESTS: tuple[Request, ...] = (
    Look(2, 3, 4),
    LookAtFile(5, 6),
    MoreMemory(7, 8),
    Read(
        number=1,
        length=2,
        shared_bytes=3,
        kind="dicom",
        limits=ReadLimits(memory_bytes=9),
        frame=None,
        reduction=ReducedDecoding(0.2, (0.1, 0.2)),
        digest=True,
        sandboxed=True,
    ),
)


@pytest.mark.parametrize("request_", REQUESTS, ids=lambda one: type(one).__name__)
def test_a_request_arrives_as_it_was_sent(request_: Request) -> None:
    assert decode_request(encode(request_)) == request_
