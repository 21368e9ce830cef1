"""What a reader may say against a file, and which error the service makes of it."""

from service.errors import (
    InvalidRequest,
    MammosegError,
    TooLarge,
    UnreadableImage,
    UnsuitableImage,
    UnsupportedMedia,
)

REFUSALS: dict[str, type[MammosegError]] = {
    **dict.fromkeys(
        (
            *("codestream-size", "deflate-corrupt", "dicom-unreadable", "empty-body", "image-size"),
            *("image-unreadable", "not-an-image", "not-dicom", "pixel-data-corrupt"),
            *("pixel-data-truncated", "pixel-format", "truncated"),
        ),
        UnreadableImage,
    ),
    **dict.fromkeys(
        (
            *("decode-limit", "modality-not-accepted", "multi-frame", "no-pixel-data"),
            *("not-greyscale", "sample-format", "transparency"),
        ),
        UnsuitableImage,
    ),
    **dict.fromkeys(
        (
            *("inflates-too-far", "too-many-elements", "too-many-frames", "too-many-pixels"),
            "too-many-scans",
        ),
        TooLarge,
    ),
    "transfer-syntax": UnsupportedMedia,
    "no-such-frame": InvalidRequest,
}
"""By code. There are no others: codes are labels of metrics, so a reader makes none up."""
