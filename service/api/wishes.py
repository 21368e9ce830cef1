"""What a caller may choose for one image: in the query, else in the fields of a form."""

import re
from collections.abc import Mapping
from dataclasses import replace

from service.errors import InvalidRequest
from service.imaging.frames import MOST_FRAMES
from service.segmenter import Wishes

_MM = r"(?:0\.(?:0[1-9]|[1-9])[0-9]{0,7}|[1-4](?:\.[0-9]{1,8})?|5(?:\.0{1,8})?)"
"""A number from 0.01 to 5: no detector or film scanner lies beyond."""

SPACING = rf"^{_MM}(?:,{_MM})?$"
FRAME = "^[1-9][0-9]{0,3}$"


def form_field(pattern: str) -> dict[str, str]:
    """Give the schema of a form's field that says what the query may say, too."""
    return {
        "type": "string",
        "pattern": pattern,
        "description": "As in the query, which outranks it.",
    }


def parse_spacing(text: str | None) -> tuple[float, float] | None:
    """Turn "0.1" or "0.1,0.12" into millimetres between (row, column) centres."""
    if text is None:
        return None
    values = [float(part) for part in text.split(",")]
    return values[0], values[-1]


def with_fields(wishes: Wishes, fields: Mapping[str, str]) -> Wishes:
    """Fill in from a form's fields what the query left open.

    Raises
    ------
    InvalidRequest
        A field is malformed or out of its bounds, be it needed or not; it is named, its value
        never told.
    """
    frame, spacing = fields.get("frame"), fields.get("pixel_spacing_mm")
    if frame is not None:
        if re.fullmatch(FRAME, frame) is None or int(frame) > MOST_FRAMES:
            raise _out_of_bounds("frame")
        wishes = replace(wishes, frame=wishes.frame or int(frame))
    if spacing is not None:
        if re.fullmatch(SPACING, spacing) is None:
            raise _out_of_bounds("pixel_spacing_mm")
        spacing_mm = wishes.pixel_spacing_mm or parse_spacing(spacing)
        wishes = replace(wishes, pixel_spacing_mm=spacing_mm)
    return wishes


def _out_of_bounds(name: str) -> InvalidRequest:
    return InvalidRequest("invalid-parameter", f"Out of bounds or malformed: {name}.")
