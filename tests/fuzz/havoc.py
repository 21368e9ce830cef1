"""Blind changes to bytes, and the values that parsers stumble over."""

from random import Random

MAX_INPUT_BYTES = 2**16
"""Bytes that one change may add."""

INTERESTING = (0, 1, 2, 7, 8, 127, 128, 255, 256, 32767, 32768, 65535, 2**31 - 1, 2**31, 2**32 - 1)


def number(rng: Random, size: int, order: str) -> bytes:
    """Return a number of `size` bytes, more often than not at some edge."""
    value = rng.choice(INTERESTING) if rng.random() < 0.7 else rng.getrandbits(32)
    return (value % (1 << 8 * size)).to_bytes(size, order)  # type: ignore[arg-type]


def put(data: bytes, at: int, new: bytes) -> bytes:
    """Overwrite bytes; what does not fit is left away."""
    return data[:at] + new[: max(0, len(data) - at)] + data[at + len(new) :]


def havoc(data: bytes, rng: Random) -> bytes:
    """Change, drop, repeat or insert bytes anywhere."""
    for _ in range(rng.choice((1, 1, 1, 2, 4, 8))):
        at = rng.randrange(len(data) + 1)
        span = rng.choice((1, 2, 4, 8, 64))
        match rng.randrange(5):
            case 0:
                data = put(data, at, number(rng, rng.choice((1, 2, 4)), "little"))
            case 1:
                data = put(data, at, number(rng, rng.choice((1, 2, 4)), "big"))
            case 2:
                data = data[:at] + data[at + span :]
            case 3:
                data = data[:at] + data[at : at + span] * rng.choice((2, 3, 50)) + data[at + span :]
            case _:
                data = data[:at] + rng.randbytes(span) + data[at:]
    return data
