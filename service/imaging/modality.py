"""What a value of Modality (0008,0060) may be, wherever one is set."""

import re
from collections.abc import Iterable

_CODE_STRING = re.compile(r"[A-Z0-9_](?:[A-Z0-9_ ]{0,14}[A-Z0-9_])?")
"""VR CS (PS3.5 6.2): 1 to 16 capitals, digits, underscores and spaces; spaces only within. The
standard's list of them is open (PS3.3 C.7.3.1.1.1)."""


def check_modalities(values: Iterable[str]) -> None:
    """Refuse what no image can have: it would refuse every image.

    Raises
    ------
    ValueError
        One is no value of Modality; the message says which is meant, where that is plain.
    """
    for value in values:
        if not _CODE_STRING.fullmatch(value):
            near = value.strip("\"'[]() ").upper()
            meant = f"; is {near} meant?" if _CODE_STRING.fullmatch(near) else ""
            raise ValueError(
                f"{value!a} is no Modality (0008,0060): capitals, digits and underscores, "
                f"separated by commas{meant}"
            )
