"""What a check says."""

from dataclasses import dataclass
from typing import Literal

State = Literal["well", "note", "mend"]
"""Fit; fit, but not as good as it could be; not fit: something must be mended."""


@dataclass(frozen=True, slots=True)
class Check:
    """One line of the doctor's screen.

    Attributes
    ----------
    name
        Of what was looked at; stable.
    state
        How it is.
    found
        What was seen, in words.
    advice
        What to do, unless all is well.
    """

    name: str
    state: State
    found: str
    advice: str = ""


def well(name: str, found: str) -> Check:
    """Return that something is fit."""
    return Check(name, "well", found)


def note(name: str, found: str, advice: str) -> Check:
    """Return that something is fit, but not as good as it could be."""
    return Check(name, "note", found, advice)


def mend(name: str, found: str, advice: str) -> Check:
    """Return that something must be mended."""
    return Check(name, "mend", found, advice)
