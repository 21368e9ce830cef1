"""What a caller may choose for one image: in the query, else in the fields of a form."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from service.api.numbers import parse_integer, parse_number
from service.errors import InvalidRequest
from service.imaging.frames import MAX_FRAMES
from service.segmenter import SegmentOptions

MIN_SPACING_MM, MAX_SPACING_MM = 0.01, 5.0
"""No detector or film scanner lies beyond."""

_MM = {"type": "number", "minimum": MIN_SPACING_MM, "maximum": MAX_SPACING_MM}

FIELDS: dict[str, Any] = {
    "frame": {
        "type": "integer",
        "minimum": 1,
        "maximum": MAX_FRAMES,
        "description": "As in the query, which outranks it.",
    },
    "pixel_spacing_mm": _MM | {"description": "As in the query, which outranks it."},
}
"""Schemas of the fields of a form."""


def spacing_parameter(description: str) -> dict[str, Any]:
    """Describe `pixel_spacing_mm` in a query for OpenAPI: FastAPI's own description is wrong."""
    return {
        "name": "pixel_spacing_mm",
        "in": "query",
        "required": False,
        "description": description,
        # One number, or two with a comma between.
        "style": "form",
        "explode": False,
        "schema": {"type": "array", "items": _MM, "minItems": 1, "maxItems": 2},
    }


def parse_spacing(text: str | None) -> tuple[float, float] | None:
    """Turn "0.1" or "0.1,0.12" into millimetres.

    Returns
    -------
    Between (row, column) centres; None for None.

    Raises
    ------
    InvalidRequest
        It is no number, or out of its bounds.
    """
    if text is None:
        return None
    try:
        values = [parse_number(part) for part in text.split(",")]
    except ValueError:
        raise _out_of_bounds("pixel_spacing_mm") from None
    if len(values) > 2 or not all(MIN_SPACING_MM <= each <= MAX_SPACING_MM for each in values):
        raise _out_of_bounds("pixel_spacing_mm")
    return values[0], values[-1]


def with_fields(options: SegmentOptions, fields: Mapping[str, str]) -> SegmentOptions:
    """Fill in from a form's fields what the query left open.

    Raises
    ------
    InvalidRequest
        A field is malformed or out of its bounds, even if the query overrides it. The message names
        the field, never its value.
    """
    frame, spacing = fields.get("frame"), fields.get("pixel_spacing_mm")
    if frame is not None:
        number = _frame(frame)
        options = replace(options, frame=options.frame or number)
    if spacing is not None:
        spacing_mm = parse_spacing(spacing)
        options = replace(options, pixel_spacing_mm=options.pixel_spacing_mm or spacing_mm)
    return options


def _frame(text: str) -> int:
    try:
        frame = parse_integer(text)
    except ValueError:
        frame = 0
    if not 1 <= frame <= MAX_FRAMES:
        raise _out_of_bounds("frame")
    return frame


def _out_of_bounds(name: str) -> InvalidRequest:
    return InvalidRequest("invalid-parameter", f"Out of bounds or malformed: {name}.")


def repeated(name: str) -> InvalidRequest:
    """Return what is wrong with a choice that is made twice: which is meant is anybody's guess."""
    return InvalidRequest("invalid-parameter", f"Said more than once: {name}.")
