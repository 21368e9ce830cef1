"""Which images a net has seen, known by what they hold: whatever their folder, table or name says.

A checkpoint and an ONNX file carry 8 bytes of each image that trained the net or chose among its
checkpoints and thresholds. Who has the image itself can tell that it was among them; nobody can
tell from the bytes what it shows, or whose it is.
"""

import base64
import hashlib
import json
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import onnx
from numpy.typing import NDArray

KEY = "mammoseg_seen_images"
"""Of the ONNX file's property. It is no field of the contract: the service has no use for it, and
services of before would refuse a contract with a field that they do not know."""

DIGEST_BYTES = 8
"""Of a million images and a million asked about, one pair in 18 million times is taken for one."""


@dataclass(frozen=True, slots=True)
class SeenImages:
    """Digests of what a net has seen.

    Attributes
    ----------
    trained
        Of the images that its weights come from.
    chose
        Of those that chose its checkpoint, its thresholds or its temperature.
    complete
        False where a part of its training said nothing, as before digests were kept.
    """

    trained: frozenset[bytes] = frozenset()
    chose: frozenset[bytes] = frozenset()
    complete: bool = True

    def to_text(self) -> str:
        """Return it as files keep it: JSON."""
        parts = {"trained": _packed(self.trained), "chose": _packed(self.chose)}
        return json.dumps({**parts, "complete": self.complete})

    @classmethod
    def from_text(cls, text: str) -> "SeenImages":
        """Read what `to_text` gave.

        Raises
        ------
        ValueError
            It is something else.
        """
        try:
            stored = json.loads(text)
            trained, chose = _unpacked(stored["trained"]), _unpacked(stored["chose"])
            return cls(trained, chose, stored["complete"] is True)
        except (KeyError, TypeError, ValueError):
            raise ValueError(f"{KEY} does not hold digests of images") from None


NOT_TOLD = SeenImages(complete=False)
"""Of files and checkpoints of before, and of nets that were trained elsewhere."""


def digest_of_image(pixels: NDArray[np.uint16]) -> bytes:
    """Return what identifies an image: a digest of its decoded values and their shape.

    Not of the file's bytes: they change when a header is anonymised once more, or a file is saved
    in another format without loss, and the image stays the same.

    Parameters
    ----------
    pixels
        uint16, shape (rows, columns), as the service reads them.
    """
    digest = hashlib.blake2b(repr(pixels.shape).encode(), digest_size=DIGEST_BYTES)
    digest.update(np.ascontiguousarray(pixels, "<u2").tobytes())
    return digest.digest()


def union(each: Iterable[SeenImages]) -> SeenImages:
    """Return all that any of them has seen; it is complete where each is."""
    every = list(each)
    return SeenImages(
        frozenset().union(*(one.trained for one in every)),
        frozenset().union(*(one.chose for one in every)),
        all(one.complete for one in every),
    )


def seen_by(model: onnx.ModelProto) -> SeenImages:
    """Return what an ONNX file says that its net has seen; `NOT_TOLD` where it says nothing.

    Raises
    ------
    ValueError
        It says something that cannot be read.
    """
    said = {one.key: one.value for one in model.metadata_props}.get(KEY)
    return NOT_TOLD if said is None else SeenImages.from_text(said)


def say_seen(model: onnx.ModelProto, seen: SeenImages) -> None:
    """Let an ONNX file say what its net has seen, in place of what it said before."""
    kept = {one.key: one.value for one in model.metadata_props} | {KEY: seen.to_text()}
    onnx.helper.set_model_props(model, kept)


def _packed(digests: frozenset[bytes]) -> str:
    return base64.b64encode(b"".join(sorted(digests))).decode()


def _unpacked(text: str) -> frozenset[bytes]:
    every = base64.b64decode(text, validate=True)
    if len(every) % DIGEST_BYTES:
        raise ValueError("not a whole number of digests")
    return frozenset(every[at : at + DIGEST_BYTES] for at in range(0, len(every), DIGEST_BYTES))
