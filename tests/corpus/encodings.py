"""The same pixels in every transfer syntax, and in files that are not written as they should be."""

from collections.abc import Iterator

from pydicom.encaps import encapsulate

from service.imaging.transfer_syntaxes import (
    DEFLATED,
    EXPLICIT_BIG,
    EXPLICIT_LITTLE,
    IMPLICIT_LITTLE,
)
from tests.corpus.variant import Variant, refused
from tests.corpus.view import WITH_LOSS, Stored, mammogram
from tests.dicom_files import encode, meta_length
from tests.transfer_syntaxes import JPEG_2000_LOSSLESS, RLE

REFERENCE = "syntax/explicit-little.dcm"
REFERENCE_8 = "syntax/explicit-little-8.dcm"
_JPEG = "1.2.840.10008.1.2.4."

LOSSLESS = {
    "implicit-little": IMPLICIT_LITTLE,
    "explicit-big": EXPLICIT_BIG,
    "deflated": DEFLATED,
    "rle": RLE,
    "jpeg-lossless": f"{_JPEG}57",
    "jpeg-lossless-first-order": f"{_JPEG}70",
    "jpeg-ls": f"{_JPEG}80",
    "jpeg-2000-lossless": f"{_JPEG}90",
    "htj2k-lossless": f"{_JPEG}201",
    "htj2k-lossless-rpcl": f"{_JPEG}202",
}
LOSSY = {
    "jpeg-extended-12-bit": f"{_JPEG}51",
    "jpeg-2000": f"{_JPEG}91",
    "htj2k": f"{_JPEG}203",
}


def encodings(stored: Stored) -> Iterator[Variant]:
    """Yield every transfer syntax (PS3.5 section 10 and annex A)."""
    rule = "PS3.5 A"
    yield Variant(name=REFERENCE, body=mammogram(stored), what="12 bits as they are", rule=rule)
    for name, syntax in (LOSSLESS | LOSSY).items():
        yield Variant(
            name=f"syntax/{name}.dcm",
            body=mammogram(stored, syntax, **WITH_LOSS if name in LOSSY else {}),
            what=f"transfer syntax {syntax}",
            rule=rule,
            same_as=REFERENCE,
            exactly=name in LOSSLESS,
        )
    for name, syntax in {"explicit-little-8": EXPLICIT_LITTLE, "jpeg-8-bit": f"{_JPEG}50"}.items():
        yield Variant(
            name=f"syntax/{name}.dcm",
            body=mammogram(
                stored >> 4,
                syntax,
                bits_stored=8,
                bits_allocated=8,
                **WITH_LOSS if syntax != EXPLICIT_LITTLE else {},
            ),
            what=f"8 bits, transfer syntax {syntax}",
            rule=rule,
            same_as=REFERENCE_8 if syntax != EXPLICIT_LITTLE else "",
            exactly=False,
        )
    # In 16 bits: decoded values may leave the 12 that the encoder knows nothing of.
    near = mammogram(stored << 4, f"{_JPEG}81", bits_stored=16, **WITH_LOSS)
    yield Variant(
        name="syntax/jpeg-ls-near-lossless.dcm",
        body=near,
        what=f"16 bits, transfer syntax {_JPEG}81",
        rule=rule,
        same_as=REFERENCE,
        exactly=False,
    )
    yield refused(
        "syntax/mpeg-2.dcm",
        mammogram(stored).replace(f"{EXPLICIT_LITTLE}\0".encode(), f"{_JPEG}100".encode()[:20]),
        "a transfer syntax for video",
        rule,
        415,
        "transfer-syntax",
    )


def oddities(stored: Stored) -> Iterator[Variant]:
    """Yield files that break a rule of PS3.10 or PS3.5, and can be read all the same."""
    plain, at = mammogram(stored), meta_length(mammogram(stored))
    rle = encode(stored, RLE, 16, 12)
    j2k = encode(stored, JPEG_2000_LOSSLESS, 16, 12)
    half = len(j2k) // 4 * 2
    odd = mammogram(stored, ImageComments="even").replace(b"LT\4\0even", b"LT\3\0odd")
    delimiter = b"\xfe\xff\xdd\xe0\0\0\0\0"
    comment = b"\xff\x64\0\x0c\0\0" + delimiter
    header = j2k.index(b"\xff\x52")

    def compressed(syntax: str, pixel_data: bytes) -> bytes:
        return mammogram(stored, syntax, pixel_data=pixel_data)

    for name, what, rule, body in (
        ("no-preamble", "the preamble is missing", "PS3.10 7.1", plain[132:]),
        ("no-meta", "the file meta information is missing", "PS3.10 7.1", plain[at:]),
        ("no-meta-but-prefix", "only the prefix is there", "PS3.10 7.1", plain[:132] + plain[at:]),
        ("trailing-bytes", "bytes follow the dataset", "PS3.10 7", plain + b"\0" * 999),
        ("tiff-in-the-preamble", "it is a TIFF, too", "PS3.10 7.1", b"II*\0\0\0\0\0" + plain[8:]),
        ("odd-length", "a value of odd length", "PS3.5 7.1.1", odd),
        (
            "fragments",
            "a frame in two fragments, no offset table",
            "PS3.5 A.4",
            compressed(JPEG_2000_LOSSLESS, encapsulate([j2k[:half], j2k[half:]], has_bot=False)),
        ),
        (
            "no-sequence-delimiter",
            "the encapsulated frame ends with the file",
            "PS3.5 A.4",
            compressed(RLE, encapsulate([rle]))[:-8],
        ),
        (
            "delimiter-in-the-codestream",
            "the codestream holds the bytes of a sequence delimiter",
            "PS3.5 7.5",
            compressed(JPEG_2000_LOSSLESS, encapsulate([j2k[:header] + comment + j2k[header:]])),
        ),
    ):
        yield Variant(name=f"odd/{name}.dcm", body=body, what=what, rule=rule, same_as=REFERENCE)


def broken(stored: Stored) -> Iterator[Variant]:
    """Yield files that cannot be read, each for one reason."""
    plain = mammogram(stored)
    j2k = encode(stored, JPEG_2000_LOSSLESS, 16, 12)
    other = encode(stored[:-4], JPEG_2000_LOSSLESS, 16, 12)
    for name, what, code, body in (
        ("empty", "no byte at all", "empty-body", b""),
        ("text", "a letter", "not-an-image", b"Dear radiologist, please find attached"),
        (
            "cut-header",
            "it breaks off in the header",
            "truncated",
            plain[: plain.index(b"CORPUS") + 2],
        ),
        ("cut-pixels", "it breaks off in the pixels", "pixel-data-truncated", plain[:-1000]),
        (
            "cut-codestream",
            "the codestream breaks off",
            "pixel-data-corrupt",
            mammogram(stored, JPEG_2000_LOSSLESS, frame=j2k[: len(j2k) // 4 * 2]),
        ),
        (
            "other-size",
            "the codestream has another size than the header",
            "codestream-size",
            mammogram(stored, JPEG_2000_LOSSLESS, frame=other),
        ),
        ("no-rows", "Rows is missing", "image-size", mammogram(stored, Rows=None)),
        (
            "bits",
            "Bits Stored exceeds Bits Allocated",
            "pixel-format",
            mammogram(stored, BitsStored=17),
        ),
    ):
        yield refused(f"broken/{name}.dcm", body, what, "PS3.3 C.7.6.3", 400, code)
    huge = mammogram(stored, Rows=65535, Columns=65535)
    yield refused("broken/huge.dcm", huge, "4 thousand million pixels", "-", 413, "too-many-pixels")
