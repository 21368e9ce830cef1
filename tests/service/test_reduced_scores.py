"""The eight real films, read whole and at half their resolution: one score."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pydicom
import pytest

from service.cancellation import CancelToken
from service.imaging.codecs import jpeg_2000
from service.imaging.mammogram import Mammogram
from service.imaging.reader import ReadLimits, read_image
from service.imaging.transfer_syntaxes import EXPLICIT_LITTLE
from service.reading.reader import InProcess, ReadRequest
from service.segmenter import Segmenter, SegmentOptions
from service.startup.models import open_model
from tests.dicom_files import dicom_file
from tests.service.imaging import codestreams
from tests.thinned import thinned
from tests.transfer_syntaxes import HTJ2K, HTJ2K_LOSSLESS, JPEG_2000, JPEG_2000_LOSSLESS

pytestmark = pytest.mark.integration

NEAR = 0.01
"""Largest difference of two scores."""

SYNTAXES = {
    codestreams.JPEG_2000_LOSSLESS: JPEG_2000_LOSSLESS,
    codestreams.JPEG_2000: JPEG_2000,
    codestreams.HTJ2K_LOSSLESS: HTJ2K_LOSSLESS,
    codestreams.HTJ2K: HTJ2K,
}

# Every film in both kinds of HTJ2K, and every kind at several depths; JPEG 2000 takes ten times as
# long, and its half is compared with that of HTJ2K elsewhere.
CASES = [
    *((view, codestreams.HTJ2K_LOSSLESS, (16, 12, 10)[view % 3]) for view in range(8)),
    *((view, codestreams.HTJ2K, (12, 10, 16, 9)[view % 4]) for view in range(8)),
    *((view, codestreams.JPEG_2000_LOSSLESS, bits) for view, bits in ((1, 9), (6, 12))),
    *((view, codestreams.JPEG_2000, bits) for view, bits in ((2, 12), (3, 10), (5, 16))),
]

KNOWN = {(5, codestreams.HTJ2K_LOSSLESS, 10)}
"""What is further apart with the model that ships, 0.5.0: by .012 (docs/inputs.md)."""

SHORT = {*CASES[:8:4], *CASES[9:16:4], CASES[16], CASES[18]}
"""What is decoded each time; the rest is for `make test-long`."""


@dataclass(frozen=True)
class Fast(InProcess):
    """Reads as a worker does: by the fast decoder."""

    def read(self, request: ReadRequest, token: CancelToken | None = None) -> Mammogram:
        return read_image(
            request.body,
            request.kind,
            self.limits,
            request.frame,
            reduction=request.reduction,
            sandboxed=True,
        )


@pytest.fixture(scope="module")
def segmenter() -> Iterator[Segmenter]:
    with open_model(reader=Fast(ReadLimits())) as opened:
        yield opened


def _marks(case: tuple[int, str, int]) -> list[pytest.MarkDecorator]:
    long = [] if case in SHORT else [pytest.mark.long]
    further = pytest.mark.xfail(strict=True, reason="0.5.0's score is no steadier than .012")
    return [*long, further] if case in KNOWN else long


@pytest.mark.parametrize(
    ("view", "kind", "bits"),
    [pytest.param(*case, marks=_marks(case)) for case in CASES],
)
def test_a_film_scores_the_same_at_half_its_resolution(
    segmenter: Segmenter,
    cbis_files: list[Path],
    view: int,
    kind: str,
    bits: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    never = SimpleNamespace(jpeg2k_decode=lambda *_, **__: pytest.fail("decoded whole"))
    monkeypatch.setattr(jpeg_2000, "imagecodecs", never)
    whole, half = _scores(segmenter, cbis_files[view], kind, bits)
    assert half == pytest.approx(whole, abs=NEAR)


@pytest.mark.parametrize(
    "kind", thinned([codestreams.HTJ2K_LOSSLESS, codestreams.JPEG_2000_LOSSLESS], 2)
)
def test_a_film_of_eight_bits_is_read_whole(
    segmenter: Segmenter, cbis_files: list[Path], kind: str
) -> None:
    whole, half = _scores(segmenter, cbis_files[5], kind, 8)
    assert half == whole


def _scores(segmenter: Segmenter, file: Path, kind: str, bits: int) -> tuple[float, float]:
    """Return the score of a film as it is, and as a codestream that may be halved."""
    film = pydicom.dcmread(file).pixel_array >> (16 - bits)

    def score(syntax: str, **how: Any) -> float:
        body = dicom_file(
            film.astype("i4"),
            syntax=syntax,
            bits_stored=bits,
            ImagerPixelSpacing=[0.05, 0.05],
            **how,
        )
        return segmenter.segment(body, options=SegmentOptions(picture_side=0)).has_mask.score

    encoded = codestreams.encoded(film, bits, kind)
    return score(EXPLICIT_LITTLE), score(SYNTAXES[kind], frame=encoded)
