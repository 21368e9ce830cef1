import pytest

from benchmarks.bodies import COLUMNS, ROWS, body_of
from service.imaging.reader import ReadLimits, read_image
from service.inference.session import Session
from service.models import BUNDLED_MODEL
from service.startup.models import open_model
from tests.thinned import thinned

pytestmark = pytest.mark.integration


@pytest.mark.parametrize("tiles", thinned([1, 2, 4], 3, 1))
def test_a_body_takes_as_many_tiles_as_is_asked_for(tiles: int) -> None:
    contract = Session.open(BUNDLED_MODEL).contract
    body = body_of(tiles, contract)
    mammogram = read_image(body.dicom, "dicom", ReadLimits())
    assert mammogram.pixels.shape == (ROWS, COLUMNS)
    assert mammogram.pixel_spacing_mm == pytest.approx((body.spacing_mm, body.spacing_mm))
    assert len(body.dicom) > 2 * ROWS * COLUMNS
    if tiles == 1:
        with open_model() as segmenter:
            findings = segmenter.segment(body.dicom)
        assert len(findings.has_mask.tile_scores) == 1


def test_what_cannot_be_made_is_said() -> None:
    contract = Session.open(BUNDLED_MODEL).contract
    with pytest.raises(ValueError, match="no pixel spacing makes 99 tiles"):
        body_of(99, contract)
