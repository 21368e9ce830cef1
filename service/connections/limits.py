"""How many connections a process serves, and how long it waits for one."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ConnectionLimits:
    """Bounds of the connections of one process.

    Attributes
    ----------
    connections
        At once; beyond, one makes room whose answer is sent already, or that waits for a request:
        the one that has done so longest.
    header_s
        For a whole header, seconds, from the connection or the header's first byte on.
    send_s
        Seconds without progress of an answer that is not read.
    """

    connections: int
    header_s: float
    send_s: float
