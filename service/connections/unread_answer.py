"""An answer that its caller does not read: when is it given up?"""

MIN_READ_BYTES_S = 500.0
"""Rate at which answers must be read, bytes a second."""


class UnreadAnswer:
    """What of a connection's answers was written and not yet read.

    Parameters
    ----------
    send_s
        Seconds over which the rate of reading is judged.
    """

    def __init__(self, send_s: float) -> None:
        self._send_s = send_s
        self._bytes = 0
        self._since: float | None = None

    def is_read(self) -> None:
        """Note that the caller reads on."""
        self._since = None

    def stuck(self, unread: int, now: float) -> bool:
        """Tell whether the answer lies unread for too long; to be called every second or so.

        Parameters
        ----------
        unread
            Bytes that wait to be sent.
        now
            The event loop's time, seconds.
        """
        if not unread:
            self._since = None
        elif self._since is None:
            self._bytes, self._since = unread, now
        elif now - self._since > self._send_s:
            if self._bytes - unread < MIN_READ_BYTES_S * self._send_s:
                return True
            self._bytes, self._since = unread, now
        return False
