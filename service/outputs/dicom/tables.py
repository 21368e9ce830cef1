"""highdicom's tables of the standard, read before the first result needs them."""

import highdicom.sr as sr
import numpy as np
from pydicom.uid import DigitalMammographyXRayImageStorageForPresentation as Mammogram


def read_tables() -> None:
    """Let highdicom read which attributes each object has: 65 MiB that it then keeps.

    It does so when it makes its first object, and holds every thread of the process up for a third
    of a second. There is no function that asks for it, so the smallest object that needs the tables
    is made.
    """
    triangle = np.array([(0, 0), (1, 0), (1, 1), (0, 0)], np.float32)
    source = sr.SourceImageForRegion(Mammogram, "1.2")
    sr.ImageRegion(sr.GraphicTypeValues.POLYLINE, triangle, source)
