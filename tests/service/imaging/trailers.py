"""What cameras, servers and accidents put behind an image."""

import imagecodecs
import numpy as np

_OTHER = np.full((20, 30), 200, np.uint8)

TRAILERS = {
    "padding": b"\0",
    "much padding": bytes(5000),
    "fill bytes": b"\xff" * 99,
    "text": b"\r\n--boundary--\r\n",
    "a scan": b"\xff\xda",
    "scans without end": b"\xff\xda\0\x08\1\1\0\0\0\0" * 100,
    "the start of an image": b"\xff\xd8\xff\xe0\0\x10JFIF\0",
    "another end": b"junk\xff\xd9",
    "another image": bytes(imagecodecs.jpeg8_encode(_OTHER)),
    "half an image": bytes(imagecodecs.jpeg8_encode(_OTHER))[:-40],
    "a PNG": bytes(imagecodecs.png_encode(_OTHER)),
    "a codestream": bytes(imagecodecs.jpeg2k_encode(_OTHER, codecformat="J2K")),
    "noise": np.random.default_rng(7).bytes(4000),
    "an archive": b"PK\3\4" + bytes(60),
}
