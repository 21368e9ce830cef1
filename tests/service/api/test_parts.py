import pytest

from service.api.body_buffer import BodyBuffer
from service.api.parts import Part, Parts
from service.buffer_pool import STEP, BufferPool
from service.dicomweb.multipart import MultipartReader

pytestmark = pytest.mark.unit

BODY = (
    b'--b\r\nContent-Disposition: form-data; name="frame"\r\n\r\n' + b"7" * 100 + b"\r\n"
    b"--b\r\nContent-Type: Image/PNG\r\n\r\n\x00one\r\n\r\n"
    b'--b\r\nContent-Disposition: form-data; name="x"; filename=""\r\n\r\n\r\n--b--\r\n'
)


@pytest.mark.parametrize("piece", [1, 7, 1000])
def test_contents_are_whole_however_the_body_is_cut(piece: int) -> None:
    buffers = BufferPool(STEP)
    parts = Parts(BodyBuffer(buffers, len(BODY), STEP))
    reader = MultipartReader(b"b", parts, most_parts=3)
    for at in range(0, len(BODY), piece):
        reader.feed(BODY[at : at + piece])
    reader.close()
    frame, one, empty = parts.received()
    assert frame.field == ("frame", "7" * 65)
    assert (one.content, one.media_type, one.is_file) == (b"\x00one\r\n", "image/png", True)
    assert (empty.content, empty.is_file, empty.field) == (b"", False, None)


PNG = b"\x89PNG\r\n\x1a\n"
NUMBER = ("frame", "1")


def part(disposition: str, content: bytes = b"1", content_type: str = "") -> Part:
    headers = {"content-disposition": f"form-data; {disposition}", "content-type": content_type}
    return Part(headers, memoryview(content))


@pytest.mark.parametrize(
    ("made", "is_file", "field"),
    [
        # As clients of openapi-generator write a number.
        (part('name="frame"', content_type="application/json"), False, NUMBER),
        (part('name="frame"', content_type="application/json; charset=utf-8"), False, NUMBER),
        (part("name=frame", content_type="text/plain"), False, NUMBER),
        (part('Name = "frame" ; x=y', content_type="application/octet-stream"), False, NUMBER),
        (part('name="frame"', PNG), True, None),
        (part('name="other"', content_type="application/json"), True, None),
        (part('name="Pixel-Spacing[]"'), False, ("Pixel-Spacing[]", "1")),
        (part(f'name="{"a" * 65}"'), False, None),
        # An input of files, used and not.
        (part('name="frame"; filename="x"'), True, None),
        (part('name="frame"; filename="x"', b""), True, None),
        (part('name="frame"; filename=""'), True, None),
        (part('name="frame"; filename=""', b"", "application/octet-stream"), False, None),
        (part('name="file"', b"", "application/octet-stream"), False, ("file", "")),
        (part('name="file"; filename=""', b"", "application/dicom"), True, None),
        (part('name="file"', b"", "application/dicom"), True, None),
        (part("x=y", b"", "application/octet-stream"), True, None),
        (part('filename=""; name="frame"', b""), False, None),
        (part("filename=; name=frame", b""), False, None),
        (part("name=frame; filename*=UTF-8''x", b""), True, None),
    ],
)
def test_a_part_is_a_file_or_a_field_or_neither(
    made: Part, is_file: bool, field: tuple[str, str] | None
) -> None:
    assert (made.is_file, made.field) == (is_file, field)


def test_a_body_of_no_parts_has_none() -> None:
    assert Parts(BodyBuffer(BufferPool(0), 0, STEP)).received() == []
