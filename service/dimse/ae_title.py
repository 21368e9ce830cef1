"""What an AE title may be, wherever one is set: ours, an archive's, a caller's."""

import re

AE_TITLE = r"^[!-\[\]-~]([ -\[\]-~]{0,14}[!-\[\]-~])?$"
"""VR AE (PS3.5 6.2): 1 to 16 characters of ASCII without the backslash; spaces only within."""


def is_ae_title(text: str) -> bool:
    """Say whether a text is an AE title."""
    # `$` alone would let a line's end pass.
    return "\n" not in text and re.match(AE_TITLE, text) is not None
