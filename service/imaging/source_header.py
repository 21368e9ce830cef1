"""The few elements of a DICOM file that leave the process which took it apart.

Nothing of a caller's file is parsed in the service's own process: a reader hands back these, as the
bytes they came in, bounded in number and size.
"""

import hashlib
import zlib
from dataclasses import dataclass, field

from pydicom.datadict import tag_for_keyword
from pydicom.dataelem import RawDataElement
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence
from pydicom.tag import BaseTag

from service.errors import UnreadableImage, foreign_errors_as
from service.imaging import elements
from service.imaging.dicom import parse, read_meta
from service.imaging.transfer_syntaxes import DEFLATED

MAX_TEXT_BYTES = 2**12
"""A longer value is cut to one byte more than this: so it can be told from a valid text, which is
never as long."""

MAX_TABLE_BYTES = 2**17 + 2
"""65,536 entries of 16 bits."""

HEADER_BYTES = 2**20
"""What is inflated of a deflated dataset to look at it; its UIDs lie near the start (PS3.5 7.1)."""

UNREADABLE = b"\0?"
"""Stands for a value that is no text: present, and not valid."""

TEXTS = (
    "SpecificCharacterSet",
    "SOPClassUID",
    "SOPInstanceUID",
    "StudyDate",
    "SeriesDate",
    "AcquisitionDate",
    "ContentDate",
    "StudyTime",
    "SeriesTime",
    "AcquisitionTime",
    "ContentTime",
    "AccessionNumber",
    "Modality",
    "Manufacturer",
    "ManufacturerModelName",
    "ReferringPhysicianName",
    "TimezoneOffsetFromUTC",
    "PatientName",
    "PatientID",
    "IssuerOfPatientID",
    "PatientBirthDate",
    "PatientSex",
    "StudyInstanceUID",
    "SeriesInstanceUID",
    "StudyID",
    "PatientOrientation",
    "ImageLaterality",
    "Laterality",
    "ViewPosition",
)
GRAYSCALE = (
    "PhotometricInterpretation",
    "PixelRepresentation",
    "BitsStored",
    "WindowCenter",
    "WindowWidth",
    "RescaleIntercept",
    "RescaleSlope",
    "VOILUTFunction",
)
TABLES = ("ModalityLUTSequence", "VOILUTSequence")
TABLE_PARTS = ("LUTDescriptor", "LUTData")

Element = tuple[int, str | None, bytes]
"""Tag, value representation (None in implicit encoding), value."""


@dataclass(frozen=True, slots=True)
class SourceHeader:
    """Elements of a file, as they came.

    Attributes
    ----------
    elements
        Those of `TEXTS` and `GRAYSCALE`.
    tables
        Tag, and elements of the first item, of each of `TABLES`.
    implicit, little_endian
        How they are encoded.
    """

    # They hold the patient, whom no log may tell of.
    elements: tuple[Element, ...] = field(repr=False)
    tables: tuple[tuple[int, tuple[Element, ...]], ...] = field(repr=False)
    implicit: bool
    little_endian: bool

    def dataset(self) -> Dataset:
        """Return them as a dataset; its elements are raw, as those of a file are."""
        whole = self._dataset(self.elements)
        for tag, parts in self.tables:
            whole.add_new(tag, "SQ", Sequence([self._dataset(parts)]))
        return whole

    def _dataset(self, parts: tuple[Element, ...]) -> Dataset:
        made = Dataset()
        for tag, vr, value in parts:
            made[BaseTag(tag)] = RawDataElement(
                BaseTag(tag), vr, len(value), value, 0, self.implicit, self.little_endian
            )
        made.set_original_encoding(self.implicit, self.little_endian)
        return made


@dataclass(frozen=True, slots=True)
class Head:
    """What is known of a file without its pixels.

    Attributes
    ----------
    header
        Its elements.
    digest
        SHA-256 of the transfer syntax and the dataset, hex. The file meta information is left
        out: it names the sender, and differs from way to way.
    """

    header: SourceHeader
    digest: str


def snapshot(dataset: Dataset) -> Dataset:
    """Return a dataset whose elements stay raw whatever is read of the other.

    Private elements are left out: pydicom converts them, and with them the character set, to find
    out whose they are, and no result says anything of them.
    """
    copy = Dataset()
    copy.update({tag: one for tag, one in dataset.items() if not tag.is_private})
    copy.set_original_encoding(*dataset.original_encoding)
    return copy


def excerpt(whole: Dataset, shown: Dataset | None = None) -> SourceHeader:
    """Return what results say of a source.

    Parameters
    ----------
    whole
        The object's elements, raw: whose it is.
    shown
        Those of the frame that is looked at, if it is one of several: how it wants to be shown.
    """
    shown = whole if shown is None else shown
    implicit, little_endian = whole.original_encoding
    texts = (_text(whole, keyword) for keyword in TEXTS)
    rest = (_element(shown, keyword, MAX_TEXT_BYTES) for keyword in GRAYSCALE)
    return SourceHeader(
        elements=tuple(element for element in (*texts, *rest) if element is not None),
        tables=tuple(_tables(shown)),
        implicit=bool(implicit),
        little_endian=little_endian is not False,
    )


def look(body: bytes | memoryview) -> Head:
    """Take a DICOM file apart as far as its header goes.

    Raises
    ------
    UnsupportedMedia
        Its transfer syntax is not read here.
    UnreadableImage
        It is no DICOM file, or its header cannot be parsed.
    """
    with foreign_errors_as(UnreadableImage("dicom-unreadable", "The DICOM dataset is damaged.")):
        return _look(memoryview(body))


def _look(view: memoryview) -> Head:
    syntax, start = read_meta(view)
    head: bytes | memoryview = view
    if syntax == DEFLATED:
        try:
            head = zlib.decompressobj(-zlib.MAX_WBITS).decompress(view[start:], HEADER_BYTES)
        except zlib.error:
            raise UnreadableImage("deflate-corrupt", "The deflated dataset is damaged.") from None
    header = excerpt(parse(head, HEADER_BYTES).dataset)
    return Head(header, _digest(syntax, view[start:]))


def digest_of_dataset(body: bytes | memoryview) -> str:
    """Return the digest of a DICOM file, as `Head` has it; raises as `look`."""
    view = memoryview(body)
    syntax, start = read_meta(view)
    return _digest(syntax, view[start:])


def _digest(syntax: str, dataset: memoryview) -> str:
    digest = hashlib.sha256(syntax.encode("ascii"))
    digest.update(dataset)
    return digest.hexdigest()


def _element(dataset: Dataset, keyword: str, most: int) -> Element | None:
    """Return an element that came as bytes, and no more of them than `most`; else None."""
    found = _raw(dataset, keyword)
    if found is None or isinstance(found, Sequence) or len(found[2]) > most:
        return None
    return found


def _text(dataset: Dataset, keyword: str) -> Element | None:
    found = _raw(dataset, keyword)
    if isinstance(found, Sequence):
        return tag_of(keyword), None if dataset.original_encoding[0] else "UN", UNREADABLE
    return None if found is None else (found[0], found[1], found[2][: MAX_TEXT_BYTES + 1])


def _raw(dataset: Dataset, keyword: str) -> Element | Sequence | None:
    """Return an element as it came; a sequence where it is, or cannot be read; None if absent."""
    tag = BaseTag(tag_of(keyword))
    if tag not in dataset:
        return None
    try:
        element = dataset.get_item(tag)
    except Exception:
        return Sequence()
    if not isinstance(element, RawDataElement) or element.VR == "SQ":
        return Sequence()
    value = element.value
    return int(tag), element.VR, value if isinstance(value, bytes) else b""


def _tables(dataset: Dataset) -> list[tuple[int, tuple[Element, ...]]]:
    made = []
    for keyword in TABLES:
        first = elements.item(dataset, keyword, 0)
        if first is not None:
            parts = [_element(first, part, MAX_TABLE_BYTES) for part in TABLE_PARTS]
            made.append((tag_of(keyword), tuple(part for part in parts if part is not None)))
    return made


def tag_of(keyword: str) -> int:
    """Return the tag of a keyword of the dictionary."""
    tag = tag_for_keyword(keyword)
    assert tag is not None
    return tag
