"""Which results may be asked for; of names alone, so that they are completed at once."""

from service.comma_list import comma_list
from service.outputs.forms import DICOM_OBJECTS

FORMATS = ("json", "png", *DICOM_OBJECTS, "csv")
"""`csv` is one file for all images."""

DEFAULT_FORMATS = ("json", "png", "csv")


def parse_formats(text: str) -> tuple[str, ...]:
    """Turn "json,seg" into formats, in the order of `FORMATS`.

    Raises
    ------
    ValueError
        One is not known, or there is none.
    """
    wanted = {part.lower() for part in comma_list(text)}
    if not wanted or not wanted <= set(FORMATS):
        raise ValueError(f"takes some of {', '.join(FORMATS)}, separated by commas")
    return tuple(one for one in FORMATS if one in wanted)


def complete_formats(incomplete: str) -> list[str]:
    """Return what the last of several formats may go on as."""
    before, comma, last = incomplete.rpartition(",")
    return [f"{before}{comma}{one}" for one in FORMATS if one.startswith(last)]
