"""Media types of files: their registered names, and those that systems send for them."""

from service.imaging.reader import ImageKind

DICOM_TYPES = frozenset(
    {"application/dicom", "application/x-dicom", "image/dicom", "image/x-dicom", "image/dcm"}
)

_OTHERS: dict[ImageKind, tuple[str, ...]] = {
    "png": ("image/png", "image/x-png"),
    "jpeg": ("image/jpeg", "image/jpg", "image/pjpeg", "image/jpe", "image/x-jpeg", "image/x-jpg"),
    "tiff": ("image/tiff", "image/tif", "image/x-tiff", "image/x-tif"),
}

KINDS: dict[str, ImageKind] = {
    **dict.fromkeys(DICOM_TYPES, "dicom"),
    **{name: kind for kind, names in _OTHERS.items() for name in names},
}
"""What a file is that is sent as this type."""

GENERIC = frozenset(
    {
        "",
        "application/octet-stream",
        "application/x-octet-stream",
        "application/binary",
        "application/x-binary",
        "application/unknown",
        "application/force-download",
        "binary/octet-stream",
        "content/unknown",
        "*/*",
        "image/*",
    }
)
"""No type, or one that says nothing: the file is recognised by its content."""

UNDECLARED = GENERIC | {"application/x-www-form-urlencoded"}
"""Of a body; with what `curl --data-binary` and `wget --post-file` send by themselves."""
