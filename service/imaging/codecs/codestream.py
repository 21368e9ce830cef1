"""What a compressed frame says about itself, read from its first bytes and before any decoding.

The DICOM header may lie about the size of a codestream, and a decoder believes the codestream.
"""

from dataclasses import dataclass

from service.errors import UnreadableImage


@dataclass(frozen=True, slots=True)
class Codestream:
    """The codestream's own claims.

    Attributes
    ----------
    rows, columns
        Size of the image in pixels.
    components
        Samples a pixel.
    precision
        Bits a sample.
    signed
        Whether samples are two's complement; None where the format cannot say (JPEG, JPEG-LS).
    tiles
        How many tiles it is cut into (JPEG 2000).
    at
        Where the frame header stands (JPEG, JPEG-LS).
    """

    rows: int
    columns: int
    components: int
    precision: int
    signed: bool | None = None
    tiles: int = 1
    at: int = 0


def corrupt() -> UnreadableImage:
    """Return the error for pixel data that is not what its transfer syntax promises."""
    return UnreadableImage("pixel-data-corrupt", "The compressed pixel data cannot be decoded.")


def pixel_data_truncated() -> UnreadableImage:
    """Return the error for pixel data that ends before it should."""
    return UnreadableImage(
        "pixel-data-truncated", "The pixel data is shorter than the header says."
    )
