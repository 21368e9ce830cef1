"""What tells the pixels of one image from those of another: a digest of them as they came."""

import hashlib

from service.imaging.dicom import DicomFile
from service.imaging.fragments import fragments_of
from service.imaging.transfer_syntaxes import ENCAPSULATED


def pixel_digest(file: DicomFile) -> str:
    """Return the SHA-256 of Pixel Data, hex; of compressed pixels, of what the fragments hold.

    Offset tables, and what follows pixels in a file, as its padding (PS3.10 7.2) or signatures,
    differ from one copy to another.

    Raises
    ------
    UnreadableImage
        Fragments break off or are none.
    """
    digest = hashlib.sha256()
    is_encapsulated = file.transfer_syntax_uid in ENCAPSULATED
    for piece in fragments_of(file.pixel_data) if is_encapsulated else [file.pixel_data]:
        digest.update(piece)
    return digest.hexdigest()
