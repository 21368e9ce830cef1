from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from model_export.evaluation.contrast import contrasted
from service.cancellation import CancelToken
from service.errors import DeviceError, UnreadableImage, UnsuitableImage
from service.findings import image_score
from service.imaging.breast import find_breast
from service.imaging.mammogram import Mammogram
from service.imaging.reader import ReadLimits, read_dicom
from service.imaging.reduced_decoding import ReducedDecoding
from service.outputs.png import mask_png, overlay_png
from service.outputs.result import result_of
from service.reading.reader import InProcess, ReadRequest
from service.segmenter import MIN_REDUCED_SHRINKING, Segmenter, SegmentOptions
from service.startup.models import open_model
from service.stopwatch import Stopwatch
from tests.identity_net import identity_contract, write_identity_net

pytestmark = pytest.mark.integration


@pytest.fixture(scope="module")
def segmenter(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Segmenter]:
    path = write_identity_net(tmp_path_factory.mktemp("model") / "identity.onnx")
    with open_model(path, runners=2) as segmenter:
        yield segmenter


def phantom() -> np.ndarray:
    y, x = np.mgrid[:300, :200]
    pixels = np.zeros((300, 200), np.uint16)
    pixels[((y - 150) / 130) ** 2 + (x / 150) ** 2 < 1] = 20000
    pixels[100:140, 40:80] = 60000
    return pixels


def test_a_mammogram_becomes_findings(segmenter: Segmenter) -> None:
    findings = segmenter.segment_mammogram(
        Mammogram(phantom(), (1.0, 1.0)), SegmentOptions(), Stopwatch()
    )
    assert findings.has_mask.decision and not findings.gated
    assert np.array_equal(findings.mask, phantom() == 60000)
    assert findings.breast_pixels == pytest.approx((phantom() > 0).sum(), rel=0.1)
    assert findings.caveats == ()


@pytest.mark.parametrize("spacing", [(0.25, 0.25), (0.5, 1.0), (1.0, 0.5), (1.5, 1.5)])
def test_the_wish_for_a_spacing_wins(segmenter: Segmenter, spacing: tuple[float, float]) -> None:
    mammogram = Mammogram(phantom(), (1.0, 1.0))
    findings = segmenter.segment_mammogram(
        mammogram, SegmentOptions(pixel_spacing_mm=spacing), Stopwatch()
    )
    assert findings.mammogram.pixel_spacing_mm == spacing
    box = findings.lesion_map.box
    assert findings.lesion_map.probability.shape == (
        round(box.rows * spacing[0]),
        round(box.columns * spacing[1]),
    )


def test_an_image_longer_than_any_detector_is_refused(segmenter: Segmenter) -> None:
    with pytest.raises(UnsuitableImage, match="size-implausible"):
        segmenter.segment_mammogram(Mammogram(phantom(), (1.0, 5.0)), SegmentOptions(), Stopwatch())


def test_gain_and_offset_of_the_source_do_not_matter(segmenter: Segmenter) -> None:
    plain = segmenter.segment_mammogram(
        Mammogram(phantom(), (1.0, 1.0)), SegmentOptions(), Stopwatch()
    )
    faint = Mammogram((phantom() // 4 + 3000).astype(np.uint16), (1.0, 1.0))
    again = segmenter.segment_mammogram(faint, SegmentOptions(), Stopwatch())
    assert again.has_mask.score == pytest.approx(plain.has_mask.score, abs=1e-6)
    np.testing.assert_array_equal(again.mask, plain.mask)


@pytest.mark.parametrize(("share", "told"), [(0.0, False), (0.04, False), (0.07, True)])
def test_a_breast_that_is_white_in_part_is_told(
    segmenter: Segmenter, share: float, told: bool
) -> None:
    pixels = np.minimum(phantom(), 60_000)
    breast = find_breast(pixels)
    inside = breast.on_grid(pixels.shape, (breast.box.rows, breast.box.columns))
    rows, columns = np.nonzero(inside)
    # The innermost columns of the breast, so that its outline stays as it is.
    lit = np.argsort(columns)[: round(share * len(columns))]
    pixels[rows[lit] + breast.box.top, columns[lit] + breast.box.left] = 65535
    findings = segmenter.segment_mammogram(
        Mammogram(pixels, (1.0, 1.0)), SegmentOptions(), Stopwatch()
    )
    assert ("breast-saturated" in [caveat.code for caveat in findings.caveats]) == told


def test_a_real_film_is_no_white_breast_until_its_contrast_is_stretched(
    cbis_files: list[Path],
) -> None:
    told = []
    with open_model() as segmenter:
        for file in cbis_files[:2]:
            mammogram = read_dicom(file.read_bytes(), ReadLimits())
            for factor in (1.0, 2.0):
                pixels = contrasted(mammogram.pixels, factor)
                findings = segmenter.segment_mammogram(
                    replace(mammogram, pixels=pixels), SegmentOptions(), Stopwatch()
                )
                told.append("breast-saturated" in [each.code for each in findings.caveats])
    assert told == [False, True, False, True]


def test_an_empty_frame_is_answered_with_a_warning(segmenter: Segmenter) -> None:
    findings = segmenter.segment_mammogram(
        Mammogram(np.zeros((300, 200), np.uint16), (1.0, 1.0)), SegmentOptions(), Stopwatch()
    )
    assert [caveat.code for caveat in findings.caveats] == ["breast-not-found"]
    assert not findings.mask.any()
    assert findings.regions == ()


@pytest.mark.parametrize(
    "shape",
    [(1, 1), (1, 5000), (5000, 1), (3, 3), (2000, 31), (7, 4000), (40000, 300), (300, 40000)],
)
def test_any_shape_is_answered_on_its_own_grid(
    segmenter: Segmenter, shape: tuple[int, int]
) -> None:
    pixels = np.zeros(shape, np.uint16)
    pixels[shape[0] // 4 :, : shape[1] // 2 + 1] = 30000
    pixels[shape[0] // 2 :, : shape[1] // 4 + 1] = 60000
    findings = segmenter.segment_mammogram(
        Mammogram(pixels, None), SegmentOptions(gate=False), Stopwatch()
    )
    assert findings.mask.shape == shape
    assert overlay_png(findings, 64) and mask_png(findings)
    result = result_of(findings, (), 64)
    assert sum(result.mask.counts) == pixels.size


def test_bytes_are_read_and_timed(segmenter: Segmenter) -> None:
    png = bytes(cv2.imencode(".png", phantom())[1])
    findings = segmenter.segment(png, options=SegmentOptions(pixel_spacing_mm=(1.0, 1.0)))
    assert np.array_equal(findings.mask, phantom() == 60000)
    assert set(findings.timing_ms) >= {"read", "net", "total"}
    with pytest.raises(UnreadableImage):
        segmenter.segment(b"no image")


@pytest.mark.parametrize("own_mm", [None, (0.1, 0.2)])
@pytest.mark.parametrize("halved", [True, False])
@pytest.mark.parametrize(("side", "once_more"), [(0, 0), (150, 0), (151, 1), (None, 1)])
def test_an_image_is_judged_at_half_and_read_whole_for_a_picture_that_shows_more(
    segmenter: Segmenter,
    own_mm: tuple[float, float] | None,
    halved: bool,
    side: int | None,
    once_more: int,
) -> None:
    told = []
    half = phantom()
    half[0, 0] = 7

    class Spy(InProcess):
        def read(self, request: ReadRequest, token: CancelToken | None = None) -> Mammogram:
            told.append(request.reduction)
            is_half = halved and request.reduction is not None
            return Mammogram(half if is_half else phantom(), (1.0, 1.0), halved=is_half)

    found = Segmenter(segmenter.net, Spy(ReadLimits())).segment(
        b"", options=SegmentOptions(pixel_spacing_mm=own_mm, picture_side=side)
    )
    again = once_more if halved else 0
    assert told == [ReducedDecoding(1 / MIN_REDUCED_SHRINKING, own_mm), *[None] * again]
    assert np.array_equal(found.mammogram.pixels, half) is halved
    assert np.array_equal(found.shown, half) is (halved and not once_more)
    assert ("picture" in found.timing_ms) is bool(again)


def test_the_score_is_the_most_suspicious_tile_s_at_the_contract_s_temperature() -> None:
    contract = identity_contract()
    hot = contract.model_copy(
        update={"score": contract.score.model_copy(update={"temperature": 2.0})}
    )
    assert image_score([-3.0, 1.0, 0.0], contract).score == pytest.approx(1 / (1 + np.exp(-1)))
    assert image_score([-3.0, 1.0, 0.0], hot).score == pytest.approx(1 / (1 + np.exp(-0.5)))
    assert image_score([], contract).score == 0.0
    assert image_score([-3.0, 0.0], hot).tile_scores == pytest.approx((1 / (1 + np.exp(1.5)), 0.5))


def test_a_net_that_does_not_reproduce_its_golden_tile_is_not_served(tmp_path: Path) -> None:
    contract = identity_contract()
    golden = contract.golden.model_copy(update={"has_mask_logit": 0.0})
    path = write_identity_net(tmp_path / "net.onnx", contract.model_copy(update={"golden": golden}))
    with pytest.raises(DeviceError):
        open_model(path)
