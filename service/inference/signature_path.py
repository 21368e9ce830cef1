"""Where a model's signature lies; apart, since it needs no cryptography to be known."""

from pathlib import Path

ENDING = ".sig"


def signature_path(model: Path) -> Path:
    """Return the file of a model's signature: beside it, `.sig` after its name."""
    return model.with_name(model.name + ENDING)
