"""Which kinds of destinations there are: a new one is one file, and one row in both tables."""

import json
from typing import Annotated, Any
from urllib.parse import urlsplit

from pydantic import Discriminator, Tag

from service.comma_list import comma_list
from service.destinations.destination import Destination
from service.destinations.store import DicomDestination
from service.destinations.stow import StowDestination

AnyDestination = Annotated[
    Annotated[StowDestination, Tag("stow")] | Annotated[DicomDestination, Tag("dicom")],
    Discriminator(
        lambda given: _kind(given),
        custom_error_type="scheme",
        custom_error_message="the url of a destination begins with http, https, dicom or dicoms",
    ),
]
"""Told apart by the scheme of the URL. Written out, so that mypy says who else must know a kind."""

KINDS: dict[str, type[Destination]] = {"stow": StowDestination, "dicom": DicomDestination}


def _kind(given: Any) -> str | None:
    url = given.get("url") if isinstance(given, dict) else getattr(given, "url", given)
    try:
        scheme = urlsplit(str(url)).scheme
    except ValueError:
        return None
    return next((kind for kind, its in KINDS.items() if scheme in its.schemes), None)


def parse_destinations(text: str) -> object:
    """Split the text of a setting: URLs separated by commas, or a JSON list of objects.

    Raises
    ------
    ValueError
        It begins as a list and is no JSON.
    """
    if not text.lstrip().startswith("["):
        return comma_list(text)
    try:
        return json.loads(text)
    except ValueError:
        # Not its text: there are secrets in it.
        raise ValueError("is no valid JSON") from None
