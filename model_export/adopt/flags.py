"""What the caller says of a net, as the command line takes it."""

import re
from dataclasses import dataclass, replace
from typing import Literal

from model_export.adopt.errors import AdoptError
from model_export.adopt.foreign import Activation, InputRange, Shape
from service.inference.tiling import MAX_SIDE, MIN_SIDE

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_DEVIATION = (0.229, 0.224, 0.225)

MAX_DISPLAY = 65535

RANGES = {
    "0..1": InputRange(),
    "0..255": InputRange(scale=255.0),
    "0..65535": InputRange(scale=65535.0),
    "imagenet": InputRange(mean=IMAGENET_MEAN, deviation=IMAGENET_DEVIATION),
    "z-score": InputRange(statistic="z_score"),
    "min-max": InputRange(statistic="min_max"),
}
"""What `--pixels` takes by name."""


@dataclass(frozen=True, slots=True)
class Flags:
    """What the caller says; None where nothing.

    Attributes
    ----------
    pixels
        A key of `RANGES`, or `LOW..HIGH`, display values of 0 to 65535 that become 0 and 1.
    mean, deviation
        Comma-separated numbers, one or one a channel, after `pixels`.
    lesion_class
        Names or numbers.
    classes
        Names, comma-separated, one an output channel.
    codes
        `name=value:scheme:meaning`.
    tile
        `ROWSxCOLUMNS`.
    bgr, invert, transpose
        How the net sees an image otherwise than others do.
    mirroring
        Average over mirror images, as nnU-Net does unless told not to.
    output
        Name of the graph's output that is the map, where several might be.
    architecture
        Of an smp checkpoint that is weights alone: `Unet:resnet34`.
    """

    pixels: str | None = None
    mean: str | None = None
    deviation: str | None = None
    activation: Activation | None = None
    lesion_class: tuple[str, ...] = ()
    classes: str | None = None
    codes: tuple[str, ...] = ()
    spacing_mm: float | None = None
    tile: str | None = None
    facing: Literal["left", "right", "any"] = "any"
    has_mask: Literal["max", "area"] = "max"
    bgr: bool = False
    invert: bool = False
    transpose: bool = False
    mirroring: bool = False
    output: str | None = None
    architecture: str | None = None

    @property
    def tile_shape(self) -> Shape | None:
        """(rows, columns) of `tile`.

        Raises
        ------
        AdoptError
            It is no ROWSxCOLUMNS, or of a size that no contract takes.
        """
        if self.tile is None:
            return None
        found = re.fullmatch(r"(\d+)x(\d+)", self.tile)
        if found is None:
            raise AdoptError(f"--tile {self.tile}: ROWSxCOLUMNS, as 512x256")
        rows, columns = int(found[1]), int(found[2])
        if not (min(rows, columns) >= MIN_SIDE and max(rows, columns) <= MAX_SIDE):
            raise AdoptError(f"--tile {self.tile}: sides of {MIN_SIDE} to {MAX_SIDE} pixels")
        return rows, columns


def name_of(known: InputRange) -> str:
    """Return a range as `--pixels` would say it, as far as it can."""
    plain = replace(known, region="frame", over="image", taken="working")
    names = {value: name for name, value in RANGES.items()}
    bare = replace(plain, mean=(0.0,), deviation=(1.0,))
    if plain in names:
        return names[plain]
    return f"{names.get(bare, known.statistic)} with a mean and a deviation"


def range_of(text: str) -> InputRange:
    """Return what `--pixels` says.

    Raises
    ------
    AdoptError
        It is neither a key of `RANGES` nor `LOW..HIGH`.
    """
    if text in RANGES:
        return RANGES[text]
    found = re.fullmatch(r"(\d+(?:\.\d+)?)\.\.(\d+(?:\.\d+)?)", text)
    if found is None or not float(found[1]) < float(found[2]) <= MAX_DISPLAY:
        raise AdoptError(
            f"--pixels {text}: one of {', '.join(RANGES)}, or LOW..HIGH, of 0 to {MAX_DISPLAY}"
        )
    return InputRange(window=(float(found[1]), float(found[2])))
