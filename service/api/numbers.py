"""Numbers in a query or a form, however a program prints them."""

import re

MAX_TEXT = 64
"""Characters. Exact binary fractions have more, but no program prints them."""

NUMBER = re.compile(r"[+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]{1,3})?")


def parse_number(text: str) -> float:
    """Turn 0.1, +.1, 1e-1 or 0.35735000000000006, blanks around it, into a number.

    Raises
    ------
    ValueError
        It is no decimal number: not one of a finite value, of ASCII digits, without separators.
    """
    number = text.strip(" \t\r\n")
    if len(text) > MAX_TEXT or NUMBER.fullmatch(number) is None:
        raise ValueError("no decimal number")
    # A number too large for a float becomes infinite, and is out of any bound.
    return float(number)


def parse_integer(text: object) -> int:
    """Turn 7, +7, 7.0 or 7e0 into an integer; what is no text is returned as it is.

    Raises
    ------
    ValueError
        It is no integer.
    """
    if not isinstance(text, str):
        return text  # type: ignore[return-value]
    number = parse_number(text)
    if not number.is_integer():
        raise ValueError("no integer")
    return int(number)


def trimmed(text: object) -> object:
    """Return a text without blanks around it and around its commas; other things as they are."""
    if not isinstance(text, str):
        return text
    return ",".join(item.strip(" \t\r\n") for item in text.split(","))
