from contextlib import nullcontext
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from service.cancellation import CancelToken
from service.imaging.reduced_decoding import WHOLE_PICTURE
from service.inbox.result_writer import ResultWriter

pytestmark = pytest.mark.unit


class Asked(Exception):
    """The segmenter was asked."""


@pytest.mark.parametrize(("kinds", "side"), ((("seg", "sr"), 0), (("sr", "sc"), WHOLE_PICTURE)))
def test_no_more_detail_is_asked_for_than_the_results_show(
    kinds: tuple[str, ...], side: int, tmp_path: Path
) -> None:
    source = tmp_path / "source"
    source.write_bytes(b"body")

    def segment(body: bytes, kind: str, options: Any, **_: object) -> None:
        assert (body, kind, options.picture_side) == (b"body", "dicom", side)
        raise Asked

    anything = cast(
        Any,
        SimpleNamespace(source=lambda _: source, digest="", sop_instance_uid="1.2"),
    )
    anything.version = lambda: nullcontext(SimpleNamespace(segment=segment))
    writer = ResultWriter(anything, anything, kinds)
    with pytest.raises(Asked):
        writer.write(anything, anything, CancelToken())
