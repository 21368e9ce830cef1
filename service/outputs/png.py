"""Findings -> pictures: on the source's grid, on the working grid, or of bounded size.

A render must not cost more than the net: the side is bounded, and zlib runs at level 1. Its pixels
are square, whatever those of the source are: viewers of pictures know of no others.
"""

import io
import math

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from service.findings import Findings
from service.imaging.breast import Box
from service.imaging.stitch import LesionMap

OUTLINE_SELECTED = (80, 255, 80)
OUTLINE_CANDIDATE = (255, 140, 255)
"""BGR: a region of the mask is outlined green, a mere candidate pink.

To protan, deutan and tritan eyes, too, the two differ by 50 of CIEDE2000 and more (Machado et al.
2009, severity 1).
"""

CASING = (0, 0, 0)
"""Around both lines: on dense tissue, which is as light as they are, it is what is seen."""

HEAT_OPACITY = 0.35


def mask_png(findings: Findings) -> bytes:
    """Encode the mask as a 1-bit PNG of the source's rows and columns; 1 is lesion."""
    rows, columns = findings.mask.shape
    packed = np.packbits(findings.mask, axis=1).tobytes()
    buffer = io.BytesIO()
    Image.frombytes("1", (columns, rows), packed).save(buffer, "PNG", compress_level=1)
    return buffer.getvalue()


def heatmap_png(findings: Findings, max_side: int) -> bytes:
    """Encode the probability, coloured, as an 8-bit RGB PNG at most `max_side` pixels long."""
    return _encode(_colour(_probability(findings, _render_shape(findings, max_side))))


def overlay_png(findings: Findings, max_side: int) -> bytes:
    """Encode the image with heat and outlines, as an 8-bit RGB PNG at most `max_side` long."""
    shape = _render_shape(findings, max_side)
    small = cv2.resize(findings.shown, (shape[1], shape[0]), interpolation=cv2.INTER_AREA)
    canvas = cv2.cvtColor((small >> 8).astype(np.uint8), cv2.COLOR_GRAY2BGR)
    probability = _probability(findings, shape)
    opacity = (HEAT_OPACITY * np.clip(probability * 2.0, 0.0, 1.0))[..., None]
    canvas = (canvas * (1.0 - opacity) + _colour(probability) * opacity).astype(np.uint8)
    _outline(canvas, findings, shape)
    return _encode(canvas)


def image_png(findings: Findings) -> bytes:
    """Encode the image as it is displayed: a 16-bit grey PNG of the source's rows and columns."""
    # To seek runs alone, in one kind of difference, takes half the time of what OpenCV does by
    # itself, and the file is no larger; in a browser it is read in less, too.
    return _encode(
        findings.shown,
        *(cv2.IMWRITE_PNG_STRATEGY, cv2.IMWRITE_PNG_STRATEGY_RLE),
        *(cv2.IMWRITE_PNG_FILTER, cv2.IMWRITE_PNG_FILTER_SUB),
    )


def map_png(lesion_map: LesionMap) -> bytes:
    """Encode a map at the working spacing as a 16-bit grey PNG: 65535 is 1."""
    return _encode(np.rint(lesion_map.probability * 65535.0).astype(np.uint16))


def _render_shape(findings: Findings, max_side: int) -> tuple[int, int]:
    rows, columns = findings.mask.shape
    height = rows * findings.mammogram.height_over_width
    scale = min(1.0, max_side / max(height, columns))
    return max(1, round(height * scale)), max(1, round(columns * scale))


def _probability(findings: Findings, shape: tuple[int, int]) -> NDArray[np.float32]:
    """Lay the lesion map onto a render of the whole frame: float32, `shape`; 0 beyond its box."""
    rows, columns = findings.mask.shape
    placed = findings.lesion_map.sample(Box(0, 0, rows, columns), shape)
    box, scale = findings.lesion_map.box, (shape[0] / rows, shape[1] / columns)
    inside = (
        slice(int(box.top * scale[0]), math.ceil(box.bottom * scale[0])),
        slice(int(box.left * scale[1]), math.ceil(box.right * scale[1])),
    )
    framed = np.zeros(shape, np.float32)
    framed[inside] = placed[inside]
    return framed


def _colour(probability: NDArray[np.float32]) -> NDArray[np.uint8]:
    level = (np.clip(probability, 0.0, 1.0) * 255.0).astype(np.uint8)
    coloured: NDArray[np.uint8] = cv2.applyColorMap(level, cv2.COLORMAP_INFERNO)
    return coloured


def _outline(canvas: NDArray[np.uint8], findings: Findings, shape: tuple[int, int]) -> None:
    rows, columns = findings.mask.shape
    scale = np.array([shape[1] / columns, shape[0] / rows])
    lines = []
    for region in reversed(findings.regions):
        selected = region.selected and not findings.gated
        points = np.round((np.array(region.contour) + 0.5) * scale - 0.5).astype(np.int32)
        colour = OUTLINE_SELECTED if selected else OUTLINE_CANDIDATE
        lines.append((points, colour, 2 if selected else 1))
    # All casings first: none lies over another region's line.
    for points, _, width in lines:
        cv2.polylines(canvas, [points], True, CASING, width + 2, cv2.LINE_AA)
    for points, colour, width in lines:
        cv2.polylines(canvas, [points], True, colour, width, cv2.LINE_AA)


def _encode(pixels: NDArray[np.uint8 | np.uint16], *how: int) -> bytes:
    _, encoded = cv2.imencode(".png", pixels, [cv2.IMWRITE_PNG_COMPRESSION, 1, *how])
    return bytes(encoded)
