import numpy as np
import pytest

from service.outputs.result import result_of
from service.outputs.rle import coco_rle
from tests.findings_by_hand import findings_by_hand

pytestmark = pytest.mark.unit


@pytest.mark.parametrize("gate", [True, False])
@pytest.mark.parametrize("score", [0.93, 0.1])
def test_the_mask_is_encoded_whole_or_not_at_all(score: float, gate: bool) -> None:
    findings = findings_by_hand(score=score, gate=gate)
    part = result_of(findings, (), 0).mask
    assert part.gated == (gate and score < 0.5)
    assert part.counts == coco_rle(findings.mask)
    assert part.area_mm2 == pytest.approx(np.count_nonzero(findings.mask) * 0.01)
    assert (part.area_mm2 == 0.0) == part.gated
