"""What a wrongly wrapped net looks like on the sample, where nobody says what is right."""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from model_export.adopt.errors import AdoptError
from service.findings import Findings

MAX_SHARE = 0.5
"""Of the breast, that a mask of lesions may cover."""

MIN_CONTRAST = 0.02
"""Between the most and the least probable pixel of a breast."""


def masked(probability: NDArray[np.float32]) -> float:
    """Return the share of pixels that are more probably a lesion than not; 0 of none."""
    return float((probability >= 0.5).mean()) if probability.size else 0.0


def is_flat(probability: NDArray[np.float32]) -> bool:
    """Say whether a breast is answered with one and the same probability."""
    return bool(probability.size) and float(np.ptp(probability)) < MIN_CONTRAST


def is_odd(probability: NDArray[np.float32]) -> bool:
    """Say whether an answer, over the breast's pixels, can hardly be right."""
    return masked(probability) > MAX_SHARE or is_flat(probability)


def check(
    findings: Findings,
    probability: NDArray[np.float32],
    lesion: str,
    others: Callable[[], list[str]],
) -> list[str]:
    """Look at the answer to the sample, and return what looks odd.

    Parameters
    ----------
    findings
        Of the sample, ungated.
    probability
        Of a lesion, over the breast's pixels.
    lesion
        How the class is called that is taken for a lesion.
    others
        Names flags under which the answer would look less odd; it takes a while.

    Raises
    ------
    AdoptError
        It cannot be right: most of the breast is masked.
    """
    share = masked(probability)
    if share > MAX_SHARE:
        raise AdoptError(
            f"{share:.0%} of the breast would be masked as {lesion}: that is what a background "
            "class looks like, an inverted polarity (--invert), or pixels in another range than "
            "--pixels says. Where it is right all the same, --expected MASK proves it."
            + _listed(others())
        )
    said = []
    if is_flat(probability):
        said.append(
            f"the answer hardly changes over the breast ({probability.min():.3f} to "
            f"{probability.max():.3f}): are the pixels in the range that --pixels says?"
            + _listed(others())
        )
    if not findings.regions:
        said.append(
            "no region was found in the sample: take a view with a lesion, or look at the pixels' "
            "range, the spacing and the class"
        )
    return said


def _listed(others: list[str]) -> str:
    if not others:
        return ""
    return " These look like answers, which proves nothing:" + "".join(
        f"\n  - {one}" for one in others
    )
