"""What a framework's file says of its net, and what is asked of whoever adopts it."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
import onnx
from numpy.typing import NDArray

Activation = Literal["sigmoid", "softmax", "none"]
"""What turns the net's output into probabilities; `none` where it gives them already."""

Statistic = Literal["display", "min_max", "z_score"]
"""See `service.imaging.normalise.WholeImage`."""

Shape = tuple[int, int]
"""(rows, columns)."""


@dataclass(frozen=True, slots=True)
class InputRange:
    """How the net wants its pixels: (value * scale - mean) / deviation, channel by channel.

    Attributes
    ----------
    statistic
        What the service does to the whole image: nothing but [0, 1], min-max, or z-score.
    region
        What of the image it is taken over: the frame, or the box around what is not 0.
    over
        All pixels of the region, or those that are not 0.
    window
        Display values, of 0 to 65535, that become 0 and 1; None for 0 and 65535.
    scale
        What 1 becomes: 255 for nets that were trained on 8-bit values.
    mean, deviation
        One number, or one a channel.
    """

    statistic: Statistic = "display"
    region: Literal["frame", "nonzero"] = "frame"
    over: Literal["image", "nonzero"] = "image"
    taken: Literal["source", "working"] = "working"
    window: tuple[float, float] | None = None
    scale: float = 1.0
    mean: tuple[float, ...] = (0.0,)
    deviation: tuple[float, ...] = (1.0,)


@dataclass(frozen=True, slots=True)
class Facts:
    """What is known of a net; None where nobody said it.

    Attributes
    ----------
    channels
        Of the input: 1 or 3.
    outputs
        Of the output: how many classes, the background included where it is one.
    tile
        (rows, columns) that the net is run on; None where any will do.
    last
        The input's channels, and the output's, come last (N, H, W, C).
    columns_first
        The net's images have their columns before their rows (MONAI's readers); `tile` and `stride`
        are (rows, columns) all the same.
    region
        What of the image the framework looks at; see `InputRange`.
    flat
        The output has no axis of classes: (N, H, W).
    exclusive
        Probabilities that the net gives itself sum to 1 over its classes.
    output
        Name of the graph's output that this is said of; None for its only one.
    maps
        Names of all outputs that might be the map, where there are several.
    others
        The same of others of them, as far as they can be served.
    mean, deviation
        What is subtracted and divided by after a range that the files do not state.
    stride, placement, blend, blend_logits
        How the framework lays its tiles and blends their answers.
    """

    channels: int
    outputs: int
    tile: Shape | None = None
    last: bool = False
    columns_first: bool = False
    region: Literal["frame", "nonzero"] = "frame"
    flat: bool = False
    exclusive: bool = False
    output: str | None = None
    maps: tuple[str, ...] = ()
    others: tuple["Facts", ...] = ()
    pixels: InputRange | None = None
    activation: Activation | None = None
    class_names: tuple[str, ...] | None = None
    lesions: tuple[int, ...] | None = None
    mean: tuple[float, ...] | None = None
    deviation: tuple[float, ...] | None = None
    spacing_mm: float | None = None
    stride: Shape | None = None
    placement: Literal["even", "stepped"] = "even"
    blend: Literal["gaussian", "gaussian-floor", "constant"] = "gaussian"
    blend_logits: bool = False


@dataclass(frozen=True, slots=True, eq=False)
class View:
    """The sample, whole, at the spacing that the net works at.

    Attributes
    ----------
    pixels
        uint16 display values, shape (rows, columns).
    spacing_mm
        Between their centres, the same along rows and columns.
    """

    pixels: NDArray[np.uint16]
    spacing_mm: float

    def as_stored(self, pixels: str | None) -> NDArray[np.float32]:
        """Return the pixels in the range of the training files.

        Parameters
        ----------
        pixels
            What `--pixels` says: 8 bits, [0, 1], or else 16 bits.
        """
        scale = {"0..1": 1 / 65535.0, "0..255": 1 / 257.0}.get(pixels or "", 1.0)
        return self.pixels.astype(np.float32) * np.float32(scale)


Predictor = Callable[[View], NDArray[np.float32]]
"""The framework's own way from a view to probabilities, (classes, rows, columns); one class for a
net of a single output."""


@dataclass(frozen=True, slots=True, eq=False)
class Foreign:
    """A net of another framework.

    Attributes
    ----------
    framework
        As the contract calls it.
    name
        What the model is called unless the caller says otherwise.
    model
        The bare net: one input, (N, channels, rows, columns), and the output that `facts` names.
    facts
        What the files say.
    predictor
        None where the framework has none, or is not installed; `why_not` then says which.
    follows
        Fields of `Flags` that the predictor follows, so that its answer proves nothing of them.
    remarks
        What whoever adopts it is to know.
    """

    framework: str
    name: str
    model: onnx.ModelProto
    facts: Facts
    predictor: Predictor | None = None
    why_not: str = field(default="")
    follows: frozenset[str] = frozenset()
    remarks: tuple[str, ...] = ()
