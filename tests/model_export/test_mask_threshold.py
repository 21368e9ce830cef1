import cv2
import numpy as np
import pytest

from model_export.mask_threshold import Drawn, choose_candidate, choose_mask
from service.imaging.breast import Box
from service.imaging.stitch import LesionMap

pytestmark = pytest.mark.unit

SHAPE = (160, 120)


def drawn(source: str, **levels: float) -> Drawn:
    """Return a lesion, a disc of radius 12 with a ring of 4 around it.

    And how sure the map is of each: `core`, `ring`, and `other`, a disc elsewhere, no lesion.
    """
    lesion, probability = np.zeros(SHAPE, np.uint8), np.zeros(SHAPE, np.float32)
    cv2.circle(lesion, (40, 60), 12, 1, cv2.FILLED)
    cv2.circle(probability, (40, 60), 16, levels.get("ring", 0.0), cv2.FILLED)
    cv2.circle(probability, (40, 60), 12, levels.get("core", 0.0), cv2.FILLED)
    cv2.circle(probability, (90, 120), 12, levels.get("other", 0.0), cv2.FILLED)
    whole = LesionMap(probability, Box(0, 0, *SHAPE), SHAPE)
    return Drawn(source, lesion > 0, whole, (0.4, 0.4))


def test_the_mask_threshold_leaves_out_what_is_no_lesion() -> None:
    level = choose_mask([drawn("cbis-ddsm-800", core=0.8, ring=0.4)])
    assert 0.4 < level <= 0.8


def test_every_source_counts_the_same_for_the_mask() -> None:
    # Ten faint lesions of one source against one of another whose ring must stay out.
    faint = [drawn("cbis-ddsm-800", core=0.3)] * 10
    sharp = drawn("cdd-cesm", core=0.9, ring=0.6)
    assert choose_mask([*faint, sharp]) <= 0.3
    # At .3 the sharp one has its ring, which costs less than all faint ones.


def test_without_outlines_there_is_no_mask_threshold() -> None:
    with pytest.raises(ValueError, match="outlined"):
        choose_mask([])


def test_candidates_start_where_lower_ones_find_no_more() -> None:
    sure = [drawn("cbis-ddsm-800", core=0.9)] * 4
    assert choose_candidate(sure, 0.5) == 0.2
    unsure = drawn("cbis-ddsm-800", core=0.06)
    assert choose_candidate([*sure, unsure], 0.5) == 0.05


def test_candidates_never_exceed_the_mask() -> None:
    assert choose_candidate([drawn("cbis-ddsm-800", core=0.9)], 0.1) == 0.1
