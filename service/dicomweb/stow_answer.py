"""What the answer to a STOW-RS request (PS3.18 10.5) of one object means for who sent it."""

from service.dicomweb.store_response import read_response
from service.dimse.store_status import DUPLICATES, NotDelivered, refusal

PERMANENT = frozenset((400, 406, 411, 413, 414, 415, 422, 501))
"""Answers that the same request will get again. Others may change with the server's state or with
its configuration, refused credentials too."""


def judge(status: int, body: bytes) -> int | None:
    """Return the Warning Reason (0008,1196) with which the destination has the object, or None.

    Raises
    ------
    NotDelivered
        It has not.
    """
    said = read_response(body) if status in (200, 202, 409) else None
    if said is not None and said.failure in DUPLICATES:
        return None
    if said is not None and said.failure is not None:
        raise refusal(said.failure)
    if status in (200, 202):
        if said is None:
            # A portal's or a proxy's page, as where one has to log in: nothing has been stored.
            raise NotDelivered("answer-not-stow")
        return said.warning
    busy = status in (429, 502, 503, 504)
    raise NotDelivered(f"http-{status}", permanent=status in PERMANENT, reachable=not busy)
