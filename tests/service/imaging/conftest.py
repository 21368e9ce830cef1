"""What several tests of images share: real films take a second each to decode."""

from pathlib import Path

import cv2
import numpy as np
import pydicom
import pytest
from numpy.typing import NDArray


@pytest.fixture(scope="session")
def small_films(cbis_files: list[Path]) -> list[NDArray[np.uint16]]:
    """The eight real CBIS-DDSM films at a fifth of their resolution."""
    return [
        cv2.resize(
            pydicom.dcmread(file).pixel_array, None, fx=0.2, fy=0.2, interpolation=cv2.INTER_AREA
        )
        for file in cbis_files
    ]
