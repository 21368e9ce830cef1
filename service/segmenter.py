"""The way of a mammogram from bytes to findings. Start reading here."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Self

import numpy as np

from service.cancellation import CancelToken
from service.errors import UnsuitableImage
from service.findings import (
    Findings,
    ModelIdentity,
    breast_caveats,
    image_score,
    model_caveats,
    regions_and_mask,
)
from service.foreign import faces_away, lesion_map_of
from service.imaging.breast import find_breast
from service.imaging.mammogram import Caveat, Intent, Mammogram
from service.imaging.orientation import Turn, upright
from service.imaging.pixel_size import spacing_or_assumed, with_given_spacing
from service.imaging.pyramid import Pyramid
from service.imaging.reader import ImageKind
from service.imaging.reduced_decoding import ReducedDecoding
from service.imaging.resample import WorkingImage, to_working_grid
from service.imaging.stitch import stitch_activation
from service.imaging.tiles import cut
from service.inference.net import Net
from service.reading.reader import Reader, ReadRequest
from service.stopwatch import Stopwatch

MAX_IMAGE_MM = 500
"""No detector or film is longer (PS3.3 does not bound it); it bounds what the net is asked."""

MIN_REDUCED_SHRINKING = 2.25
"""From what is read at half its resolution to the working spacing: what the net sees is the mean of
several samples all the same. More would not help: with model 0.5.0, scores of eight films moved by
0.0036 on average where half the resolution is 2.3, 3 and 4 times as fine as its grid."""

SPACING_ASSUMED = Caveat(
    "spacing-assumed",
    "The image states no pixel spacing: its long side was taken as a standard detector's; "
    "millimetres are not reported. Pass pixel_spacing_mm if it is known.",
)

REFUSED_INTENTS: dict[Intent, str] = {
    "presentation": "The model was not made for images FOR PRESENTATION.",
    "processing": "The model was not made for images FOR PROCESSING (raw detector values); send "
    "the image FOR PRESENTATION of the same exposure.",
    "film": "The model was not made for film scans.",
    "unstated": "The model was not made for images that do not say what they are for.",
}


@dataclass(frozen=True, slots=True)
class SegmentOptions:
    """What the caller may choose for one image.

    Attributes
    ----------
    pixel_spacing_mm
        Millimetres between (row, column) centres, overriding what the image says.
    gate
        Empty the mask when the has-mask decision is no.
    frame
        Which frame of a multi-frame object, or page of a TIFF, from 1 on; None for an only one.
    picture_side
        Longest side, in pixels, of the pictures of the image that will be made of the findings: 0
        for none, None where that is not known. The findings do not depend on it.
    activation
        Keep the map that the has-mask score comes from.
    objects
        DICOM objects may be made of the findings: their UIDs name the image by its pixels, too.
    """

    pixel_spacing_mm: tuple[float, float] | None = None
    gate: bool = True
    frame: int | None = None
    picture_side: int | None = None
    activation: bool = False
    objects: bool = True

    @property
    def judged(self) -> "SegmentOptions":
        """The choices that mask and score depend on; the others only say what is made of them."""
        return SegmentOptions(self.pixel_spacing_mm, self.gate, self.frame)


class Segmenter:
    """Finds lesions in mammograms. `segment` may be called from several threads at once.

    Parameters
    ----------
    net
        What finds lesions in tiles; closed with the segmenter.
    reader
        What turns files into mammograms; closed with the segmenter.

    Examples
    --------
    `service.startup.models.open_model` makes one. A drawn breast with a bright disc stands in for a
    mammogram here; the bytes of a DICOM, JPEG or TIFF file do as well:

    >>> import cv2
    >>> import numpy as np
    >>> from service.startup.models import open_model
    >>> air = np.zeros((600, 400), np.uint8)
    >>> breast = cv2.ellipse(air, (0, 300), (250, 260), 0, 0, 360, 90, -1)
    >>> breast = cv2.circle(breast, (120, 280), 25, 220, -1)
    >>> with open_model() as segmenter:
    ...     findings = segmenter.segment(cv2.imencode(".png", breast)[1].tobytes())
    >>> findings.mask.shape, findings.mask.dtype
    ((600, 400), dtype('bool'))
    >>> 0 <= findings.has_mask.score <= 1
    True
    >>> [caveat.code for caveat in findings.caveats]
    ['spacing-assumed']
    """

    def __init__(self, net: Net, reader: Reader) -> None:
        model_info = net.model_info
        self.net = net
        self.reader = reader
        self.contract = model_info.contract
        self.device = model_info.device
        self._whole_pixels = model_info.whole_pixels
        self.model = ModelIdentity.of(self.contract, model_info.sha256, model_info.id)
        self._caveats = model_caveats(self.contract)

    def segment(
        self,
        body: bytes | memoryview,
        kind: ImageKind | None = None,
        options: SegmentOptions | None = None,
        reserve_pixels: Callable[[int], None] = lambda _: None,
        token: CancelToken | None = None,
        stopwatch: Stopwatch | None = None,
    ) -> Findings:
        """Take one file and say where the lesions are.

        Parameters
        ----------
        body
            A DICOM, PNG, JPEG or TIFF file.
        kind
            Which of them; recognised by its content when None.
        options
            The caller's choices.
        reserve_pixels
            Called with the number of the image's pixels once it is read; may wait for memory.
        token
            How long the caller waits; for ever when None.
        stopwatch
            The caller's, if it wants to know how far a file came that is refused.

        Raises
        ------
        MammosegError
            One of its subclasses, by what is wrong with the file or the moment.
        """
        stopwatch, token = stopwatch or Stopwatch(), token or CancelToken()
        options = options or SegmentOptions()
        reduction = ReducedDecoding(
            self.contract.spacing.working_mm / MIN_REDUCED_SHRINKING, options.pixel_spacing_mm
        )
        mammogram = self.reader.read(
            ReadRequest(body, kind, options.frame, reduction, options.objects), token
        )
        stopwatch.lap("read")
        reserve_pixels(mammogram.rows * mammogram.columns)
        stopwatch.lap("wait")
        findings = self.segment_mammogram(mammogram, options, stopwatch, token)
        if not _shows_enough(mammogram, options.picture_side):
            # What is judged is one image, whatever is to be seen of it.
            whole = self.reader.read(ReadRequest(body, kind, options.frame), token)
            stopwatch.lap("picture")
            timing_ms = stopwatch.milliseconds()
            findings = replace(findings, picture=whole.pixels, timing_ms=timing_ms)
        return findings

    def segment_mammogram(
        self,
        mammogram: Mammogram,
        options: SegmentOptions,
        stopwatch: Stopwatch,
        token: CancelToken | None = None,
    ) -> Findings:
        """Take a mammogram that is read already; see `segment`."""
        token = token or CancelToken()
        token.raise_if_cancelled()
        contract, tiling = self.contract, self.contract.tiling
        mammogram, spacing_mm = self._placed(mammogram, options)
        pyramid = Pyramid(mammogram.pixels)
        breast = find_breast(mammogram.pixels, pyramid)
        stopwatch.lap("breast")
        token.raise_if_cancelled()
        working = to_working_grid(
            mammogram,
            breast,
            source_spacing_mm=spacing_mm,
            working_mm=contract.spacing.working_mm,
            normalisation=contract.normalisation,
            pyramid=pyramid,
        )
        turn = self._turn(mammogram, working)
        shown = working.turned(turn)
        tiles = cut(
            shown,
            shapes=tiling.shapes,
            stride=tiling.strides,
            whole_pixels=self._whole_pixels,
            placement=tiling.placement,
        )
        stopwatch.lap("tiles")
        answers = self.net.run(tiles, token)
        stopwatch.lap("net")
        lesion_map = lesion_map_of(shown, tiles, answers, contract).turned_back(turn)
        activation_map = None
        if options.activation:
            logits = [answer.activation for answer in answers]
            activation_map = stitch_activation(
                shown, tiles, logits, temperature=contract.score.temperature
            ).turned_back(turn)
        has_mask = image_score([answer.has_mask_logit for answer in answers], contract)
        regions, mask = regions_and_mask(lesion_map, contract.operating_point, spacing_mm)
        gated = options.gate and not has_mask.decision
        stopwatch.lap("regions")
        return Findings(
            model=self.model,
            mammogram=mammogram,
            has_mask=has_mask,
            lesion_map=lesion_map,
            regions=tuple(regions),
            # Zeros that nobody looks at cost nothing; those of `zeros_like` are written.
            mask=np.zeros(mask.shape, np.bool_) if gated else mask,
            gated=gated,
            breast_pixels=breast.area_pixels((mammogram.rows, mammogram.columns)),
            caveats=mammogram.caveats + breast_caveats(breast, working.saturated) + self._caveats,
            timing_ms=stopwatch.milliseconds(),
            minimum_region_pixels=contract.operating_point.minimum_region_pixels(spacing_mm),
            activation_map=activation_map,
        )

    def _placed(
        self, mammogram: Mammogram, options: SegmentOptions
    ) -> tuple[Mammogram, tuple[float, float]]:
        """Check that the model was made for this kind of image, and settle its spacing."""
        if mammogram.intent not in self.contract.accepted_intents:
            raise UnsuitableImage("intent", REFUSED_INTENTS[mammogram.intent])
        if options.pixel_spacing_mm is not None:
            mammogram = with_given_spacing(mammogram, options.pixel_spacing_mm)
        spacing_mm, assumed = spacing_or_assumed(
            mammogram, self.contract.spacing.assumed_long_side_mm
        )
        if max(mammogram.rows * spacing_mm[0], mammogram.columns * spacing_mm[1]) > MAX_IMAGE_MM:
            raise UnsuitableImage(
                "size-implausible",
                f"By its pixel spacing, the image is over {MAX_IMAGE_MM} mm long.",
            )
        if assumed:
            mammogram = replace(mammogram, caveats=(*mammogram.caveats, SPACING_ASSUMED))
        return mammogram, spacing_mm

    def _turn(self, mammogram: Mammogram, working: WorkingImage) -> Turn:
        """Say how the net is to see an image: upright, and its chest wall where it knows it."""
        turn = upright(mammogram.orientation, mammogram.laterality)
        return turn._replace(mirrored=faces_away(turn.apply(working.breast), self.contract))

    def close(self) -> None:
        """Answer what waits, then stop."""
        self.net.close()
        self.reader.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _shows_enough(mammogram: Mammogram, picture_side: int | None) -> bool:
    """Say whether pictures of this size lose nothing by how the image was read."""
    longest = max(mammogram.rows, mammogram.columns)
    is_small = picture_side is not None and 2 * picture_side <= longest
    return is_small or not mammogram.halved
