"""The grammar of RFC 2046, 5.1.1, and what senders make of it, in one piece and in many."""

from collections.abc import Mapping

import pytest

from service.dicomweb.multipart import MAX_PADDING, MultipartReader
from service.errors import InvalidRequest

pytestmark = pytest.mark.unit


class Parts:
    """Keeps headers and contents."""

    def __init__(self) -> None:
        self.taken: list[tuple[Mapping[str, str], bytes]] = []
        self.open = False

    def begin(self, headers: Mapping[str, str]) -> None:
        assert not self.open
        self.open = True
        self.taken.append((headers, b""))

    def write(self, data: memoryview) -> None:
        headers, content = self.taken[-1]
        self.taken[-1] = headers, content + bytes(data)

    def end(self) -> None:
        assert self.open
        self.open = False


def read(body: bytes, cut: int, boundary: bytes = b"b") -> list[tuple[Mapping[str, str], bytes]]:
    parts = Parts()
    reader = MultipartReader(boundary, parts, most_parts=4)
    for start in range(0, len(body), cut):
        reader.feed(body[start : start + cut])
    reader.close()
    assert not parts.open
    return parts.taken


TYPED = {"content-type": "a/b"}
PLAIN = b"--b\r\nContent-Type: a/b\r\n\r\nx\0y\r\n--b--\r\n"
BODIES: dict[str, tuple[bytes, list[tuple[Mapping[str, str], bytes]]]] = {
    "plain": (PLAIN, [(TYPED, b"x\0y")]),
    "text before": (b"This is a message in MIME format.\r\n" + PLAIN, [(TYPED, b"x\0y")]),
    "text with hyphens before": (b"--\r\n--a\r\n--bc\r\n -" + b"\r\n" + PLAIN, [(TYPED, b"x\0y")]),
    "lines before": (b"\r\n\r\n\n" + PLAIN, [(TYPED, b"x\0y")]),
    "text after": (PLAIN + b"And this?\r\n--b\r\n\r\nno part\r\n--b--", [(TYPED, b"x\0y")]),
    "no line after": (PLAIN[:-2], [(TYPED, b"x\0y")]),
    "blanks after boundaries": (
        b"--b \t \r\nContent-Type: a/b\r\n\r\nx\r\n--b\t\r\n\r\ny\r\n--b-- \t\r\n",
        [(TYPED, b"x"), ({}, b"y")],
    ),
    "folded": (
        b"--b\r\nContent-Type:\r\n a/b;\r\n\tc=d\r\nX: 1\r\n  2 \r\n\r\nx\r\n--b--",
        [({"content-type": "a/b;\tc=d", "x": "1  2"}, b"x")],
    ),
    "no header": (b"--b\r\n\r\nx\r\n--b--", [({}, b"x")]),
    "empty": (b"--b\r\nContent-Type: a/b\r\n\r\n\r\n--b--", [(TYPED, b"")]),
    "empty without a line": (b"--b\r\nContent-Type: a/b\r\n\r\n--b--", [(TYPED, b"")]),
    "empty without anything": (b"--b\r\n\r\n--b\r\n\r\n\r\n--b--", [({}, b""), ({}, b"")]),
    "lines within": (b"--b\r\n\r\n\r\n\r\r\n\n\r\n\r\n--b--", [({}, b"\r\n\r\r\n\n\r\n")]),
    "half a boundary within": (
        b"--b\r\n\r\n\r\n-\r\n--\r\n--c\n--b\r--b--\r\r\n--b--",
        [({}, b"\r\n-\r\n--\r\n--c\n--b\r--b--\r")],
    ),
    "a longer boundary within": (
        b"--b\r\n\r\n--b2\r\n\r\nx\r\n--b2\r\n--b x\r\n--b--",
        [({}, b"--b2\r\n\r\nx\r\n--b2\r\n--b x")],
    ),
    "LF alone": (
        b"before\n--b\nContent-Type: a/b\nX: 1\n 2\n\nx\r\ny\r\n\n--b \n\n\n--b--\n",
        [({"content-type": "a/b", "x": "1 2"}, b"x\r\ny\r\n"), ({}, b"")],
    ),
    "none": (b"--b--\r\n", []),
    "latin": (b"--b\r\nX: \xe4\r\n\r\n\r\n--b--", [({"x": "\xe4"}, b"")]),
}


@pytest.mark.parametrize(("body", "parts"), BODIES.values(), ids=BODIES.keys())
@pytest.mark.parametrize("cut", [1, 2, 3, 5, 7, 1000])
def test_parts_are_found_however_the_body_is_cut(
    body: bytes, parts: list[tuple[Mapping[str, str], bytes]], cut: int
) -> None:
    assert read(body, cut) == parts


BROKEN = {
    "nothing": b"",
    "no boundary": b"x" * 100,
    "no end": PLAIN[:-4],
    "no end of the header": b"--b\r\nA: b\r\n",
    "another boundary": PLAIN.replace(b"--b", b"--c"),
    "no name": b"--b\r\n: b\r\n\r\n\r\n--b--",
    "no colon": b"--b\r\nab\r\n\r\n\r\n--b--",
    "a blank before the colon": b"--b\r\na : b\r\n\r\n\r\n--b--",
    "folded from the start": b"--b\r\n a: b\r\n\r\n\r\n--b--",
    "a bare CR in a header": b"--b\r\na: b\rc: d\r\n\r\n\r\n--b--",
    "NUL in a header": b"--b\r\na: b\0\r\n\r\n\r\n--b--",
    "100 headers": b"--b\r\n" + b"a: b\r\n" * 100 + b"\r\n\r\n--b--",
    "an endless header": b"--b\r\na: " + b"b" * 10**5 + b"\r\n\r\n\r\n--b--",
    "endless blanks": b"--b\r\n\r\nx\r\n--b" + b" " * (2 * MAX_PADDING) + b"\r\n\r\ny\r\n--b--",
}


@pytest.mark.parametrize("body", BROKEN.values(), ids=BROKEN.keys())
@pytest.mark.parametrize("cut", [1, 900, 10**6])
def test_what_is_no_multipart_body_is_refused(body: bytes, cut: int) -> None:
    with pytest.raises(InvalidRequest) as refused:
        read(body, cut)
    assert refused.value.code == "multipart-broken"


def test_parts_are_bounded() -> None:
    with pytest.raises(InvalidRequest) as refused:
        read(b"--b\r\n\r\n\r\n" * 5 + b"--b--", 1000)
    assert refused.value.code == "too-many-parts"


def test_a_large_body_is_not_kept() -> None:
    parts = Parts()
    parts.write = lambda data: None  # type: ignore[method-assign]
    reader = MultipartReader(b"b", parts, most_parts=1)
    for piece in (b"x" * 10**5, b"\r\n--b\r\n\r\n", *[b"\r\n--" * 10**5] * 3):
        reader.feed(piece)
        assert len(reader._data) - reader._at < 10
