"""JPEG 2000 and HTJ2K codestreams of any precision, and the pictures that try their wavelets."""

from typing import Any

import imagecodecs
import numpy as np
from numpy.typing import NDArray

DEPTH = 42
"""Where Ssiz of the first component lies (ISO/IEC 15444-1 A.5.1)."""

JPEG_2000_LOSSLESS, JPEG_2000 = "JPEG 2000, lossless", "JPEG 2000, lossy"
HTJ2K_LOSSLESS, HTJ2K = "HTJ2K, lossless", "HTJ2K, lossy"
KINDS = (JPEG_2000_LOSSLESS, JPEG_2000, HTJ2K_LOSSLESS, HTJ2K)


def encoded(samples: NDArray[np.integer[Any]], bits: int, kind: str) -> bytes:
    """Encode unsigned samples as a codestream whose own precision is `bits`.

    The encoder of HTJ2K knows 8 and 16 bits alone. The reversible wavelet of samples around zero
    does not depend on the precision, and the irreversible one counts in parts of the range.
    """
    if kind in (JPEG_2000_LOSSLESS, JPEG_2000):
        how: dict[str, Any] = {"reversible": True}
        if kind == JPEG_2000:
            how = {"reversible": False, "level": 60}
        return bytes(
            imagecodecs.jpeg2k_encode(
                samples.astype(np.uint8 if bits == 8 else np.uint16),
                codecformat="J2K",
                bitspersample=bits,
                numthreads=1,
                **how,
            )
        )
    if kind == HTJ2K_LOSSLESS:
        centred = (samples.astype(np.int32) - (1 << (bits - 1))).astype(np.int16)
        return with_precision(imagecodecs.htj2k_encode(centred, reversible=True), bits)
    wide = samples.astype(np.uint16) << (16 - bits)
    return with_precision(imagecodecs.htj2k_encode(wide, reversible=False, level=0.0005), bits)


def with_precision(frame: bytes | bytearray, bits: int) -> bytes:
    """Make a codestream say that its samples are unsigned ones of `bits` bits."""
    return bytes(frame[:DEPTH]) + bytes((bits - 1,)) + bytes(frame[DEPTH + 1 :])


def low_pass(samples: NDArray[np.integer[Any]]) -> NDArray[np.int32]:
    """Take one level of the reversible 5/3 wavelet, and leave out its details (F.4.8, D 2-D order).

    Columns come first, then rows; beyond an edge the signal is mirrored.
    """
    return _low_pass_of_columns(_low_pass_of_columns(samples.astype(np.int32)).T).T


def _low_pass_of_columns(signal: NDArray[np.int32]) -> NDArray[np.int32]:
    if len(signal) == 1:
        return signal
    even, odd = signal[::2], signal[1::2]
    after = even[1:] if len(even) > len(odd) else np.concatenate((even[1:], even[-1:]))
    detail = odd - ((even[: len(odd)] + after) >> 1)
    left = np.concatenate((detail[:1], detail))[: len(even)]
    right = detail if len(even) == len(odd) else np.concatenate((detail, detail[-1:]))
    return even + ((left + right + 2) >> 2)


def pictures(bits: int, rows: int = 95, columns: int = 78) -> dict[str, NDArray[np.uint16]]:
    """Draw steps, lines, points and noise from one end of the range to the other."""
    top, rng = (1 << bits) - 1, np.random.default_rng(bits)
    row, column = np.mgrid[:rows, :columns]
    drawn = {
        "steps": (row // 8 + column // 7) % 2,
        "an edge across": row >= rows // 2,
        "an edge down": column >= columns // 2,
        "lines": (row % 9 == 4) | (column % 11 == 6),
        "points": (row % 6 == 3) & (column % 5 == 2),
        "chequers": (row + column) % 2,
        "noise": rng.random((rows, columns)) < 0.5,
    }
    found = {name: np.where(mask, top, 0) for name, mask in drawn.items()}
    found |= {f"{name}, inverted": top - values for name, values in found.items()}
    grain = rng.normal(0.0, 0.05 * top, (rows, columns))
    found["grain at both ends"] = np.where(column < columns // 2, 0, top) + grain
    found["any value"] = rng.integers(0, top, (rows, columns), endpoint=True)
    return {
        name: np.clip(np.rint(values), 0, top).astype(np.uint16) for name, values in found.items()
    }
