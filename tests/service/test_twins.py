"""One image stored in every way that DICOM allows gives one mask, to the pixel.

Bits Stored, Pixel Representation, Photometric Interpretation, bits above High Bit, which may hold
overlays (PS3.5 8.1.1), and a background of Pixel Padding Value (PS3.3 C.7.5.1.1.2).
"""

from collections.abc import Iterator

import numpy as np
import pytest
from numpy.typing import NDArray

from service.imaging.transfer_syntaxes import EXPLICIT_LITTLE, IMPLICIT_LITTLE
from service.segmenter import Segmenter
from service.startup.models import open_model
from tests.dicom_files import dicom_file, to_codes
from tests.identity_net import write_identity_net
from tests.service.api.conftest import breast_phantom

pytestmark = pytest.mark.integration

AIR = 120
"""From this column on there is nothing but air, or padding."""


def image() -> NDArray[np.int32]:
    """The phantom without its label: 0 to 250."""
    pixels = breast_phantom().astype(np.int32)
    pixels[:, AIR:] = 0
    return pixels


@pytest.fixture(scope="module")
def segmenter(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Segmenter]:
    path = write_identity_net(tmp_path_factory.mktemp("model") / "identity.onnx")
    with open_model(path) as segmenter:
        yield segmenter


TWINS = [
    (bits, signed, photometric, overlay, padded)
    for bits in (8, 10, 12, 14, 16)
    for signed in (False, True)
    for photometric in ("MONOCHROME1", "MONOCHROME2")
    for overlay in (False, True)
    for padded in (False, True)
    if not (overlay and bits == 16)
]


@pytest.mark.parametrize("syntax", (EXPLICIT_LITTLE, IMPLICIT_LITTLE))
@pytest.mark.parametrize(("bits", "signed", "photometric", "overlay", "padded"), TWINS)
def test_twins_have_one_mask(
    segmenter: Segmenter,
    bits: int,
    signed: bool,
    photometric: str,
    overlay: bool,
    padded: bool,
    syntax: str,
) -> None:
    lowest, highest = (-(1 << (bits - 1)) if signed else 0), (1 << (bits - signed)) - 1
    values = image() << (bits - 8)
    inverse = photometric == "MONOCHROME1"
    stored = highest - values if inverse else lowest + values
    # Padding at the far end of the range would be the brightest thing of all.
    padding = lowest if inverse else highest
    assert (stored == padding).sum() == 0
    if padded:
        stored[:, AIR:] = padding
    allocated = 16 if overlay or bits > 8 else 8
    codes = to_codes(stored, allocated, bits)
    if overlay:
        codes[20:60, 10:50] |= np.uint16(0xFFFF << bits & 0xFFFF)
        codes[100:, 60:] |= np.uint16(1 << bits)
    body = dicom_file(
        stored,
        syntax=syntax,
        codes=codes,
        bits_stored=bits,
        bits_allocated=allocated,
        signed=signed,
        PhotometricInterpretation=photometric,
        PixelPaddingValue=padding if padded else None,
        ImagerPixelSpacing=[1.0, 1.0],
    )
    findings = segmenter.segment(body)
    np.testing.assert_array_equal(findings.mask, image() == 250)
    assert not findings.mammogram.pixels[:, AIR:].any()
    assert findings.mammogram.pixels.max() == 65535
    # What is drawn as a lesion is over a twentieth of what is drawn as a breast, and the brightest.
    assert [caveat.code for caveat in findings.caveats] == ["breast-saturated"]
