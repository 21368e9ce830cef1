"""The transfer syntaxes that are read, by UID (PS3.5 annex A, PS3.6 annex A)."""

from service.imaging.codecs.registry import CODEC_OF, CODECS

IMPLICIT_LITTLE = "1.2.840.10008.1.2"
EXPLICIT_LITTLE = "1.2.840.10008.1.2.1"
DEFLATED = "1.2.840.10008.1.2.1.99"
EXPLICIT_BIG = "1.2.840.10008.1.2.2"

NATIVE = frozenset((IMPLICIT_LITTLE, EXPLICIT_LITTLE, DEFLATED, EXPLICIT_BIG))
"""Those whose pixels are not compressed."""

ENCAPSULATED = frozenset(CODEC_OF)
"""Those whose frames are compressed, by one of the codecs."""

LOSSLESS = frozenset(uid for codec in CODECS for uid in codec.lossless)
"""Of `ENCAPSULATED`, those that always give back the very bits that were encoded."""
