from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from service.imaging.limits import ReadLimits
from service.imaging.reduced_decoding import WHOLE_PICTURE
from service.integration.pull import Pull
from service.outputs.files import OVERLAY_SIDE

pytestmark = pytest.mark.unit


class Asked(Exception):
    """The segmenter was asked."""


@pytest.mark.parametrize(
    ("kinds", "out", "side"),
    (
        ((), None, 0),
        (("seg",), None, 0),
        (("seg",), Path(), OVERLAY_SIDE),
        (("sc",), Path(), WHOLE_PICTURE),
    ),
)
def test_no_more_detail_is_asked_for_than_the_results_show(
    kinds: tuple[str, ...], out: Path | None, side: int
) -> None:
    def segment(_: bytes, options: Any) -> None:
        assert options.picture_side == side
        raise Asked

    segmenter = cast(Any, SimpleNamespace(segment=segment))
    archive = cast(
        Any,
        SimpleNamespace(
            study_url="", mammograms=lambda _: [None], retrieve=lambda _: b"", store=None
        ),
    )
    with pytest.raises(Asked):
        Pull(segmenter, ReadLimits(), kinds, out, store=False).run(
            archive, cast(Any, SimpleNamespace(done=None))
        )
