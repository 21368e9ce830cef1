"""What several routes say of themselves in the API's description (OpenAPI)."""

from collections.abc import Mapping
from typing import Any

from service.api.problems import MEDIA_TYPE, PROBLEM_REF

BINARY = {"schema": {"type": "string", "format": "binary"}}
"""The media type object of a file."""


def problem_responses(meanings: Mapping[int, str]) -> dict[int | str, dict[str, Any]]:
    """Return the response objects of problems, from what each status means there."""
    content = {MEDIA_TYPE: {"schema": {"$ref": PROBLEM_REF}}}
    return {
        status: {"description": meaning, "content": content} for status, meaning in meanings.items()
    }


IMAGE_PROBLEMS = problem_responses(
    {
        400: "Not an image that can be parsed, or a parameter unknown or out of bounds.",
        404: "No model of this name.",
        406: "No such form of the result.",
        413: "The body, or the image in it, is too large.",
        415: "A media type or transfer syntax that is not read.",
        422: "A valid image that this model must not judge.",
        503: "Full or shutting down; see Retry-After.",
        504: "The answer was not there in time.",
    }
)
"""Of the routes that take images and answer with findings."""
