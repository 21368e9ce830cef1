"""One file of the corpus, and what a reader of mammograms should answer to it."""

from dataclasses import dataclass
from typing import Literal

Turn = Literal["", "left-right", "upside down", "by 180"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Variant:
    """A file and its expectation.

    Attributes
    ----------
    name
        Path inside the corpus.
    body
        The file.
    what
        What is particular about it, in a sentence.
    rule
        Where the rule stands: part and section of DICOM, or another standard.
    query
        What has to be asked for beside the file, as `frame=2`.
    status, code
        The HTTP status, and the problem's code unless it is 200.
    warnings
        Codes of the warnings in the answer, apart from `spacing-assumed`.
    intent, laterality, view
        What the answer says of the image; empty where it says nothing.
    spacing
        Millimetres between the centres of rows and columns; None where none is to be known.
    same_as
        Name of the file that gives the same mask, turned by `turn`; empty where none does.
    exactly
        To the pixel; otherwise nearly, after lossy compression.
    """

    name: str
    body: bytes
    what: str
    rule: str
    query: str = ""
    status: int = 200
    code: str = ""
    warnings: tuple[str, ...] = ()
    intent: str = "presentation"
    laterality: str = "L"
    view: str = "CC"
    spacing: tuple[float, float] | None = (0.1, 0.1)
    same_as: str = ""
    turn: Turn = ""
    exactly: bool = True


def refused(
    name: str, body: bytes, what: str, rule: str, status: int, code: str, query: str = ""
) -> Variant:
    """Return a file that must be refused."""
    return Variant(
        name=name, body=body, what=what, rule=rule, status=status, code=code, query=query
    )
