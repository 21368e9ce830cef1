"""Findings -> Secondary Capture (PS3.3 A.8.1): a picture for archives that show nothing else.

JPEG Baseline in colour, because every archive and viewer shows that; it is lossy and says so, which
costs nothing here: it is a bounded picture of the image, not a second copy of it. The words and
numbers stand in a strip of their own below the image, so that they never cover tissue. So do the
warnings: who sees this picture alone must not take half an image that was searched for all of it.
"""

import io
import textwrap

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image
from pydicom.dataset import Dataset
from pydicom.encaps import encapsulate
from pydicom.sr.codedict import codes
from pydicom.sr.coding import Code
from pydicom.uid import SecondaryCaptureImageStorage

from service.findings import Findings
from service.outputs.dicom import algorithm
from service.outputs.dicom.instance import Kind, file_under_source, set_orientation, set_side
from service.outputs.dicom.outline import outline, percent, shown_regions
from service.outputs.dicom.reference import Source

SC = Kind("sc", "OT", 9005, "Lesion overlay")
"""Modality OT, not MG: a hook that sends every mammogram here must not send its own results."""

MAX_LONG_SIDE, MIN_LONG_SIDE = 2048, 512
"""Of the picture of the image, in pixels: bounded, and large enough to carry the words."""

QUALITY = 90

WARNING_COLUMNS = 64
"""Characters of a line of a warning; they are written smaller than the score."""

_GREEN, _WHITE = (80, 255, 80), (255, 255, 255)
_FONT = cv2.FONT_HERSHEY_SIMPLEX


def overlay_capture(findings: Findings, source: Source) -> Dataset:
    """Make the capture; without a finding it shows the image and says that nothing was found."""
    picture = draw_overlay(findings)
    frame = _jpeg(picture)
    made = Dataset()
    made.SOPClassUID = SecondaryCaptureImageStorage
    made.ConversionType = "WSD"
    made.ImageType = ["DERIVED", "SECONDARY"]
    set_side(made, findings)
    set_orientation(made, source)
    made.BurnedInAnnotation = "YES"
    made.LossyImageCompression = "01"
    made.LossyImageCompressionRatio = round(picture.nbytes / len(frame), 2)
    made.LossyImageCompressionMethod = "ISO_10918_1"
    made.DerivationDescription = f"{algorithm.RESEARCH_ONLY}: outlines drawn over the image"
    made.SourceImageSequence = [_source_image(source)]
    made.SamplesPerPixel, made.PlanarConfiguration = 3, 0
    made.PhotometricInterpretation = "YBR_FULL_422"
    made.Rows, made.Columns = picture.shape[:2]
    made.BitsAllocated, made.BitsStored, made.HighBit = 8, 8, 7
    made.PixelRepresentation = 0
    made.PixelData = encapsulate([frame])
    made["PixelData"].VR = "OB"
    made["PixelData"].is_undefined_length = True
    return file_under_source(made, findings, source, SC)


def draw_overlay(findings: Findings) -> NDArray[np.uint8]:
    """Draw image, outlines of the regions shown, and strip: uint8, (rows, columns, 3), RGB.

    The image's longest side comes to at most `MAX_LONG_SIDE`, and at least `MIN_LONG_SIDE`. Its
    pixels are square, whatever those of the source are: not every viewer of pictures heeds a Pixel
    Aspect Ratio (PS3.3 C.7.6.3.1.7), and words would be stretched by it.
    """
    rows, columns = findings.mask.shape
    height = rows * findings.mammogram.height_over_width
    longest = max(height, columns)
    scale = min(1.0, MAX_LONG_SIDE / longest) * max(1.0, MIN_LONG_SIDE / longest)
    size = max(1, round(columns * scale)), max(1, round(height * scale))
    reduced = cv2.resize(
        findings.shown,
        size,
        interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR,
    )
    canvas = cv2.cvtColor((reduced >> 8).astype(np.uint8), cv2.COLOR_GRAY2RGB)
    thickness = max(1, round(max(size) / 700))
    for number, region in enumerate(shown_regions(findings), 1):
        points = outline(region) * np.array([size[0] / columns, size[1] / rows]) - 0.5
        line = np.round(points).astype(np.int32)
        cv2.polylines(canvas, [line], True, _GREEN, thickness, cv2.LINE_AA)
        _number(canvas, str(number), line, thickness)
    below = [_strip(size[0], _lines(findings), size[0] / 26)]
    if warnings := _warning_lines(findings):
        below.append(_strip(size[0], warnings, size[0] / 45))
    return np.vstack([canvas, *below])


def _number(canvas: NDArray[np.uint8], text: str, line: NDArray[np.int32], thickness: int) -> None:
    """Write a finding's number at the upper right of its outline, inside the picture."""
    scale = 0.6 * thickness
    (width, height), _ = cv2.getTextSize(text, _FONT, scale, thickness)
    x = min(int(line[:, 0].max()) + 3 * thickness, canvas.shape[1] - width - 1)
    y = max(int(line[:, 1].min()), height + 1)
    cv2.putText(canvas, text, (max(0, x), y), _FONT, scale, _GREEN, thickness, cv2.LINE_AA)


def _lines(findings: Findings) -> list[str]:
    regions = shown_regions(findings)
    found = "  ".join(
        f"{number}: {percent(region.max_probability):.0f} %"
        for number, region in enumerate(regions[:6], 1)
    )
    more = f"  and {len(regions) - 6} more" if len(regions) > 6 else ""
    return [
        algorithm.RESEARCH_ONLY,
        f"{algorithm.name(findings)} {algorithm.version(findings)}, "
        f"score {percent(findings.has_mask.score):.0f} % "
        f"(threshold {percent(findings.has_mask.threshold):.0f} %)",
        f"{found}{more}" or "No lesion found",
    ]


def _warning_lines(findings: Findings) -> list[str]:
    return [
        line
        for warning in algorithm.warnings(findings)
        for line in textwrap.wrap(warning, WARNING_COLUMNS, subsequent_indent="  ")
    ]


def _strip(width: int, lines: list[str], height: float) -> NDArray[np.uint8]:
    """Write lines in a black strip as wide as the image, each as large as fits, up to a height."""
    tallest = max(14, round(height))
    strip = np.zeros((round(tallest * 1.7) * len(lines), width, 3), np.uint8)
    for index, text in enumerate(lines):
        (unit_width, unit_height), _ = cv2.getTextSize(text, _FONT, 1.0, 2)
        scale = min(tallest / unit_height, 0.96 * width / unit_width)
        thickness = max(1, round(2 * scale))
        origin = (round(0.02 * width), round(tallest * (1.7 * index + 1.3)))
        cv2.putText(strip, text, origin, _FONT, scale, _WHITE, thickness, cv2.LINE_AA)
    return strip


def _jpeg(rgb: NDArray[np.uint8]) -> bytes:
    sink = io.BytesIO()
    # YBR_FULL_422 means halved chroma columns (PS3.3 C.7.6.3.1.2), which is not the default.
    Image.fromarray(rgb).save(sink, "JPEG", quality=QUALITY, subsampling="4:2:2")
    return sink.getvalue()


def _source_image(source: Source) -> Dataset:
    purpose: Code = codes.DCM.SourceImageForImageProcessingOperation
    item, code = Dataset(), Dataset()
    code.CodeValue, code.CodingSchemeDesignator = purpose.value, purpose.scheme_designator
    code.CodeMeaning = purpose.meaning
    item.ReferencedSOPClassUID = source.sop_class_uid
    item.ReferencedSOPInstanceUID = source.sop_instance_uid
    item.PurposeOfReferenceCodeSequence = [code]
    return item
