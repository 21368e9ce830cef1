"""The digest tells pixels apart, and nothing else that lies around them in a file."""

from struct import pack

import pytest
from pydicom.uid import UID

from service.imaging.reader import ReadLimits, read_dicom
from service.imaging.transfer_syntaxes import ENCAPSULATED, EXPLICIT_LITTLE
from tests.dicom_files import dicom_file, encode, phantom
from tests.service.imaging.test_fragments import cut, fragments
from tests.transfer_syntaxes import JPEG_2000_LOSSLESS, JPEG_LOSSLESS_SV1, JPEG_LS, RLE

pytestmark = pytest.mark.unit

SYNTAXES = (RLE, JPEG_LOSSLESS_SV1, JPEG_LS, JPEG_2000_LOSSLESS, EXPLICIT_LITTLE)

BEHIND = {
    "nothing": b"",
    "Data Set Trailing Padding": b"\xfc\xff\xfc\xffOB\0\0" + pack("<L", 64) + bytes(64),
    "Digital Signatures": b"\xfa\xff\xfa\xffSQ\0\0" + pack("<L", 0),
    "a byte that is no element": b"\0",
}


def digest(body: bytes) -> str:
    found = read_dicom(body, ReadLimits(), digest=True).pixel_digest
    assert found is not None
    return found


@pytest.mark.parametrize("behind", BEHIND)
@pytest.mark.parametrize("syntax", SYNTAXES, ids=lambda syntax: UID(syntax).name)
def test_what_lies_behind_pixels_is_none_of_them(syntax: str, behind: str) -> None:
    assert digest(dicom_file(syntax=syntax) + BEHIND[behind]) == digest(dicom_file(syntax=syntax))


@pytest.mark.parametrize("syntax", SYNTAXES, ids=lambda syntax: UID(syntax).name)
def test_other_pixels_or_another_header_around_them(syntax: str) -> None:
    values = phantom(12)
    same = dicom_file(
        values, syntax=syntax, PatientName="Other^Name", WindowCenter=5, WindowWidth=9
    )
    assert digest(same) == digest(dicom_file(values, syntax=syntax))
    values[-1, -1] ^= 1
    assert digest(dicom_file(values, syntax=syntax)) != digest(same)


@pytest.mark.parametrize("syntax", sorted(set(SYNTAXES) & ENCAPSULATED), ids=lambda s: UID(s).name)
def test_neither_offset_table_nor_the_cuts_between_fragments_count(syntax: str) -> None:
    frame = encode(phantom(12), syntax, 16, 12)
    (whole,), parts = cut(frame, 1), cut(frame, 3)
    ways = [fragments(whole), fragments(whole, table=bytes(4)), fragments(whole)[:-8]]
    ways += [fragments(*parts), fragments(*parts, table=bytes(4)), fragments(b"", whole)]
    assert len({digest(dicom_file(syntax=syntax, pixel_data=data)) for data in ways}) == 1
