"""What a status of C-STORE, or a Failure Reason of STOW-RS, means for who sent the object.

Both have the same codes: PS3.4 table B.2-1, PS3.7 annex C, PS3.18 table I.2-2.
"""

SUCCESS = 0x0000
PROCESSING_FAILURE = 0x0110
NOT_AUTHORIZED = 0x0124
DUPLICATE_INVOCATION = 0x0210
RESOURCE_LIMITATION = 0x0213
OUT_OF_RESOURCES = 0xA7
"""The high byte of A7xx."""

DUPLICATES = frozenset((0x0111, 0xB00E))
"""Of a server that refuses what it has already: Duplicate SOP Instance (PS3.7 C.5.4), and the one
that Azure Health Data Services gives. To us that is a delivery."""

WARNINGS = frozenset((0x0001, 0x0107, 0x0116))
"""Besides Bxxx (PS3.7 C.3): the object is stored, and something is to be said of it."""

PASSING = frozenset((PROCESSING_FAILURE, NOT_AUTHORIZED, DUPLICATE_INVOCATION, RESOURCE_LIMITATION))
"""Failures that the same object may not meet again: the server's, or its configuration's."""


class NotDelivered(Exception):
    """The destination does not have the object.

    Parameters
    ----------
    code
        Why; stable, and free of anything the server wrote.
    permanent
        The same object will not be taken later.
    reachable
        The destination answered, and for another object might answer otherwise.
    """

    def __init__(self, code: str, *, permanent: bool = False, reachable: bool = True) -> None:
        super().__init__(code)
        self.code, self.permanent, self.reachable = code, permanent, reachable


def refusal(status: int) -> NotDelivered:
    """Return what a failure means: for now, the server's fault, or for good, the object's."""
    passing = status >> 8 == OUT_OF_RESOURCES or status in PASSING
    return NotDelivered(f"failure-{status:04x}", permanent=not passing)


def warning_of(status: int) -> int | None:
    """Return the status of a C-STORE if the object was stored with a warning, None if without.

    Raises
    ------
    NotDelivered
        It was not stored.
    """
    if status == SUCCESS or status in DUPLICATES:
        return None
    if status in WARNINGS or status >> 12 == 0xB:
        return status
    raise refusal(status)
