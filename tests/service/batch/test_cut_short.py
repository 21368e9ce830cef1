"""What power that failed left of a result is told from what somebody wrote in its place."""

import json

import cv2
import pytest

from service.batch.cut_short import is_cut_short
from tests.dicom_files import dicom_file, phantom, write
from tests.mammogram_headers import full_header
from tests.service.api.conftest import breast_phantom

pytestmark = pytest.mark.unit

DOCUMENT = {"uid": "1.2.3", "regions": [{"score": 0.25, "selected": True}, {}], "detail": "Ä b"}
RESULTS = {
    "json": json.dumps(DOCUMENT, indent=1, ensure_ascii=False).encode(),
    "png": cv2.imencode(".png", breast_phantom())[1].tobytes(),
    "native": dicom_file(phantom(12)),
    "encapsulated": dicom_file(phantom(12), syntax="1.2.840.10008.1.2.5"),
    "no pixels": write(full_header((8, 8))),
}


@pytest.mark.parametrize("kind", RESULTS)
def test_a_result_is_whole_or_breaks_off(kind: str) -> None:
    content = RESULTS[kind]
    assert not is_cut_short(content)
    step = max(1, len(content) // 500)
    told = [is_cut_short(content[:length]) for length in range(0, len(content), step)]
    # Between two elements of a DICOM file nothing tells.
    allowed = len(told) // 10 if content[128:132] == b"DICM" else 0
    assert told.count(False) <= allowed
    assert all(told[:2])


@pytest.mark.parametrize("content", [b"", bytes(5000)])
def test_nothing_but_zeros_is_nothing(content: bytes) -> None:
    assert is_cut_short(content)


@pytest.mark.parametrize(
    "content",
    [
        b"corrected by hand",
        b"file,score\r\na,0.",
        RESULTS["json"].replace(b'"1.2.3",', b'"1.2.3"'),
        RESULTS["native"][128:-1],
    ],
)
def test_what_is_no_result_or_was_written_so_is_somebodys(content: bytes) -> None:
    assert not is_cut_short(content)
