import pytest

from service.api.body_buffer import BodyBuffer
from service.api.parts import Parts
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
    assert (empty.content, empty.is_file, empty.field) == (b"", True, None)


def test_a_body_of_no_parts_has_none() -> None:
    assert Parts(BodyBuffer(BufferPool(0), 0, STEP)).received() == []
