"""Every codec, and which of them a transfer syntax takes.

One BSD-licensed package, imagecodecs, has the decoders of all of them.
"""

from service.imaging.codecs.codec import Codec
from service.imaging.codecs.htj2k import HTJ2K
from service.imaging.codecs.jpeg import JPEG
from service.imaging.codecs.jpeg_2000 import JPEG_2000
from service.imaging.codecs.jpeg_ls import JPEG_LS
from service.imaging.codecs.rle import RLE

CODECS: tuple[Codec, ...] = (JPEG, JPEG_LS, JPEG_2000, HTJ2K, RLE)

CODEC_OF = {uid: codec for codec in CODECS for uid in codec.syntaxes}
"""By transfer syntax UID."""
