"""Samples on the working grid, packed small, built by the code that serves.

One .npz a source: the images end to end as bytes, a JSON index, and a stamp of the files that they
were packed from, so that they are packed anew where these have changed.
"""

import hashlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from rich import get_console
from rich.progress import track

from model_export.datasets import read_source
from model_export.datasets.distinct import check_distinct
from model_export.datasets.lost_lesions import NONE_DRAWN, Kept, kept_of
from model_export.datasets.sample import Annotation, LesionBox, Sample
from model_export.datasets.splits import Part, Split, split_of
from model_export.datasets.stamp import stamp_of
from service.imaging.breast import Box
from service.imaging.normalise import Normalisation
from service.imaging.resample import breast_on_working_grid
from service.inference.tiling import GRID
from service.system.whole_file import whole_file

FORMAT = 4
"""Of the files; to be raised with every change of what stands in them, of what reads the sources or
of what finds the breast, so that older ones are packed anew."""


@dataclass(frozen=True, slots=True, eq=False)
class Packed:
    """A sample on the working grid.

    Attributes
    ----------
    pixels
        uint8, shape (rows, columns): value / 255 * normalisation.maximum is what the net sees.
    breast
        uint8 0 or 1, same shape.
    lesion
        uint8 0 or 1, same shape, or None where nobody drew it, or nothing is left of what was
        drawn: taken for a mask, it would teach that the lesion's own pixels are none.
    kept
        Of the lesions that were drawn.
    lesion_fraction
        Share of the breast that is lesion; 0 without a mask.
    boxes
        Around the lesions, in pixels of the working grid; empty where the source gives none.
    part, digest
        As in `Sample`.
    """

    source: str
    name: str
    patient: str
    has_lesion: bool
    annotation: Annotation
    pixels: NDArray[np.uint8]
    breast: NDArray[np.uint8]
    lesion: NDArray[np.uint8] | None
    lesion_fraction: float
    boxes: tuple[LesionBox, ...] = ()
    part: Part | None = None
    digest: bytes = b""
    kept: Kept = NONE_DRAWN

    @property
    def split(self) -> Split:
        """Which side of the split the patient is on."""
        return split_of(self.source, self.patient, self.part)

    def tile(self, maximum: float) -> NDArray[np.float32]:
        """Return the whole breast as the net takes it.

        Parameters
        ----------
        maximum
            Of the normalisation.

        Returns
        -------
        float32 in [0, maximum], (rows, columns), both multiples of `GRID` and two of them at least,
        since the has-mask head pools four cells; 0 beyond the image.
        """
        rows, columns = self.pixels.shape
        height, width = (max(2, -(-side // GRID)) * GRID for side in (rows, columns))
        tile = np.zeros((height, width), np.float32)
        tile[:rows, :columns] = self.pixels / np.float32(255.0) * np.float32(maximum)
        return tile


def pack(sample: Sample, working_mm: float, normalisation: Normalisation) -> Packed:
    """Bring a sample to the working grid exactly as the service would, and to 8 bits."""
    _, working = breast_on_working_grid(
        sample.to_mammogram(),
        source_spacing_mm=sample.pixel_spacing_mm,
        working_mm=working_mm,
        normalisation=normalisation,
    )
    rows, columns = working.pixels.shape
    lesion, kept = _lesion_on_grid(sample, working.box, (rows, columns))
    inside = max(1, int(working.breast.sum()))
    return Packed(
        source=sample.source,
        name=sample.name,
        patient=sample.patient,
        has_lesion=sample.has_lesion,
        annotation=sample.annotation,
        pixels=np.round(working.pixels / normalisation.maximum * 255).astype(np.uint8),
        breast=working.breast.astype(np.uint8),
        lesion=lesion,
        lesion_fraction=0.0 if lesion is None else float(lesion.sum()) / inside,
        boxes=tuple(_on_grid(one, working.box, (rows, columns)) for one in sample.boxes),
        part=sample.part,
        digest=sample.digest,
        kept=kept,
    )


def _lesion_on_grid(
    sample: Sample, box: Box, shape: tuple[int, int]
) -> tuple[NDArray[np.uint8] | None, Kept]:
    if sample.lesion is None:
        return None, NONE_DRAWN
    crop = sample.lesion[box.top : box.bottom, box.left : box.right]
    mask = resize_mask(crop, shape)
    inside = kept_of(crop, mask)
    # A lesion that lies beyond the breast that was found is lost, too.
    drawn = kept_of(sample.lesion, np.zeros((1, 1), np.bool_)).drawn
    kept = Kept(max(drawn, inside.drawn), max(drawn - inside.drawn, 0) + inside.lost)
    return (None if kept.is_lost else mask.astype(np.uint8)), kept


def _on_grid(lesion: LesionBox, breast: Box, shape: tuple[int, int]) -> LesionBox:
    """Bring a lesion's box from the source's pixels to those of the breast on the working grid."""
    down, across = shape[0] / breast.rows, shape[1] / breast.columns
    return LesionBox(
        (lesion.x - breast.left) * across,
        (lesion.y - breast.top) * down,
        lesion.width * across,
        lesion.height * down,
    )


def resize_mask(mask: NDArray[np.bool_], shape: tuple[int, int]) -> NDArray[np.bool_]:
    """Resample a mask, bool, to `shape`: true where at least half of a pixel's area is."""
    area = cv2.resize(mask.astype(np.float32), (shape[1], shape[0]), interpolation=cv2.INTER_AREA)
    half: NDArray[np.bool_] = area >= 0.5
    return half


def build(
    data: Path,
    folder: Path,
    sources: Sequence[str],
    working_mm: float,
    normalisation: Normalisation,
) -> None:
    """Write the cache of each source that is not there yet or has changed, with a progress bar.

    Parameters
    ----------
    data
        Holds one folder a source.
    folder
        Where the .npz files go, one set for each working spacing.

    Raises
    ------
    DatasetError
        A source is not there, whether packed or not, cannot be read, or is another one once more.
    """
    check_distinct(data / source for source in sources)
    folder.mkdir(parents=True, exist_ok=True)
    for source in sources:
        target = _path(folder, source, working_mm, normalisation)
        # Taken before they are read: what changes meanwhile is packed anew the next time.
        stamp = stamp_of(data / source)
        if target.exists():
            if _stamp(target) == stamp:
                continue
            get_console().print(f"{source} is not what was packed: packing it anew")
        samples = read_source(data, source)
        packed = [
            pack(sample, working_mm, normalisation)
            for sample in track(samples, description=f"packing {source}", total=None)
        ]
        _save(target, packed, stamp)


def load(
    folder: Path,
    source: str,
    working_mm: float,
    normalisation: Normalisation | None = None,
) -> list[Packed]:
    """Read back what `build` wrote with this normalisation, the default one if None."""
    path = _path(folder, source, working_mm, normalisation or Normalisation())
    with np.load(path) as stored:
        index = json.loads(bytes(stored["index"]).decode())
        pixels, breast, lesion = stored["pixels"], stored["breast"], stored["lesion"]
    return list(_unpack(index, pixels, np.unpackbits(breast), np.unpackbits(lesion)))


def _path(folder: Path, source: str, working_mm: float, normalisation: Normalisation) -> Path:
    decided_by = f"{FORMAT} {normalisation.model_dump_json()}"
    digest = hashlib.sha256(decided_by.encode()).hexdigest()[:8]
    return folder / f"{source}-{working_mm:g}mm-{digest}.npz"


def _stamp(path: Path) -> bytes:
    with np.load(path) as stored:
        return bytes(stored["stamp"])


def _save(target: Path, packed: Sequence[Packed], stamp: bytes) -> None:
    index = [
        {
            "source": one.source,
            "name": one.name,
            "patient": one.patient,
            "has_lesion": one.has_lesion,
            "annotation": one.annotation,
            "lesion_fraction": one.lesion_fraction,
            "boxes": one.boxes,
            "part": one.part,
            "digest": one.digest.hex(),
            "kept": one.kept,
            "shape": one.pixels.shape,
            "drawn": one.lesion is not None,
        }
        for one in packed
    ]
    drawn = [one.lesion.ravel() for one in packed if one.lesion is not None]
    # A path without its ending would get another one.
    with whole_file(target) as partial, partial.open("wb") as sink:
        np.savez(
            sink,
            stamp=np.frombuffer(stamp, np.uint8),
            index=np.frombuffer(json.dumps(index).encode(), np.uint8),
            pixels=np.concatenate([one.pixels.ravel() for one in packed]),
            breast=np.packbits(np.concatenate([one.breast.ravel() for one in packed])),
            lesion=np.packbits(np.concatenate([*drawn, np.zeros(0, np.uint8)])),
        )


def _unpack(
    index: list[dict[str, Any]],
    pixels: NDArray[np.uint8],
    breast: NDArray[np.uint8],
    lesion: NDArray[np.uint8],
) -> Iterator[Packed]:
    start = drawn_start = 0
    for entry in index:
        rows, columns = entry.pop("shape")
        size = rows * columns
        boxes = tuple(LesionBox(*box) for box in entry.pop("boxes"))
        drawn = None
        if entry.pop("drawn"):
            drawn = lesion[drawn_start : drawn_start + size].reshape(rows, columns)
            drawn_start += size
        digest, kept = bytes.fromhex(entry.pop("digest")), Kept(*entry.pop("kept"))
        yield Packed(
            **entry,
            digest=digest,
            kept=kept,
            pixels=pixels[start : start + size].reshape(rows, columns),
            breast=breast[start : start + size].reshape(rows, columns),
            lesion=drawn,
            boxes=boxes,
        )
        start += size
