"""A running mean that forgets."""


class Ewma:
    """Exponentially weighted moving average; the first value counts as it is.

    Parameters
    ----------
    weight
        Of the newest value, in (0, 1].
    """

    def __init__(self, weight: float) -> None:
        self._weight = weight
        self.value: float | None = None
        """The mean; None before the first value."""

    def update(self, value: float) -> None:
        """Take a further value into the mean."""
        if self.value is None:
            self.value = value
        else:
            self.value += self._weight * (value - self.value)
