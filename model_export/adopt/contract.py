"""The contract of an adopted net, and its golden tile."""

import base64
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Literal

import cv2
import numpy as np
from numpy.typing import NDArray
from pydantic import ValidationError

from model_export.adopt.answers import Settled
from model_export.adopt.errors import AdoptError
from model_export.adopt.graph import class_channels
from model_export.adopt.sample import ASSUMED_LONG_SIDE_MM
from model_export.phantom import breast_phantom
from service.imaging.normalise import WholeImage
from service.inference.adopted import Adopted, ClassCode, LesionClass
from service.inference.contract import (
    ADOPTED_VERSION,
    NOT_CHOSEN,
    Contract,
    GoldenTile,
    InputSpec,
    OperatingPoint,
    OutputNames,
    Provenance,
    Score,
    Spacing,
)
from service.inference.golden import eighth
from service.inference.session import TileOutputs
from service.inference.tiling import Tiling

Proof = Literal["unproven", "expected-mask", "predictor"]

INTENDED_USE = "Research. Not a medical device; not for diagnosis or treatment."

UNCALIBRATED = OperatingPoint(
    has_mask=0.5, chosen_by=NOT_CHOSEN, mask=0.5, candidate=0.2, minimum_region_mm2=0.0
)
"""Until `calibrate` ran. Every region counts: nobody knows yet how small a lesion may be."""

RANGES = {"display": (0.0, 1.0), "min_max": (0.0, 1.0), "z_score": (-2.0, 3.0)}
"""The golden tile's values; a net may meet larger ones."""

TOLERANCE = 5e-3

CODES = {
    "mass": ClassCode(value="4147007", scheme="SCT", meaning="Mass"),
    "calcification": ClassCode(value="309587003", scheme="SCT", meaning="Calcification of breast"),
}
"""Of names that speak for themselves (PS3.16, SNOMED CT)."""


FLAG_OF = {
    ("Tiling", "tile_size"): "--tile",
    ("Tiling", "tile_columns"): "--tile",
    ("Spacing", "working_mm"): "--spacing",
    ("Contract", "version"): "--model-version",
    ("LesionClass", "name"): "--classes",
    ("ClassCode", "value"): "--code",
    ("ClassCode", "scheme"): "--code",
    ("ClassCode", "meaning"): "--code",
}
"""By part and field of a contract: the flag that it comes from, unless the files say it."""


@contextmanager
def naming_flags() -> Iterator[None]:
    """Say of a value that no contract takes which flag it comes from.

    Raises
    ------
    AdoptError
        A contract made in the context is out of its bounds.
    """
    try:
        yield
    except ValidationError as error:
        first = error.errors()[0]
        field = str(first["loc"][-1]) if first["loc"] else ""
        flag = FLAG_OF.get((error.title, field), f"{error.title} {field}".strip())
        said = "" if field == "" else f", not {first['input']!r}"
        raise AdoptError(f"{flag}: {first['msg']}{said}") from error


@naming_flags()
def contract_of(
    settled: Settled,
    *,
    framework: str,
    name: str,
    version: str,
    proof: Proof,
    licence: str,
    training_data: tuple[str, ...],
    golden: GoldenTile,
) -> Contract:
    """Return the contract of an adopted net; thresholds are for `calibrate` to choose."""
    channels = class_channels(settled)
    low, high = RANGES[settled.pixels.statistic]
    pixels = settled.pixels
    return Contract(
        contract_version=ADOPTED_VERSION,
        name=slug(name),
        version=version,
        input=InputSpec(name="tile", dtype="float32", minimum=low, maximum=high),
        tiling=_tiling(settled),
        spacing=Spacing(working_mm=settled.spacing_mm, assumed_long_side_mm=ASSUMED_LONG_SIDE_MM),
        normalisation=WholeImage(
            kind=pixels.statistic, region=pixels.region, over=pixels.over, taken=pixels.taken
        ),
        accepted_intents=("presentation", "film", "unstated"),
        outputs=OutputNames(
            probability="probability",
            has_mask="has_mask",
            activation="activation",
            classes="classes" if channels else None,
        ),
        score=Score(rule="max", temperature=1.0),
        operating_point=UNCALIBRATED,
        provenance=Provenance(
            training_data=training_data,
            licence=licence,
            intended_use=INTENDED_USE,
            evaluation={},
        ),
        golden=golden,
        adopted=Adopted(
            framework=framework,
            proof=proof,
            facing=None if settled.flags.facing == "any" else settled.flags.facing,
            channels=channels,
            classes=_classes(settled) if channels else (),
        ),
    )


def slug(name: str) -> str:
    """Return a name as a contract takes it."""
    plain = re.sub(r"[^a-z0-9._-]+", "-", name.lower()).strip("-._")
    return plain or "adopted"


def _tiling(settled: Settled) -> Tiling:
    facts, (rows, columns) = settled.facts, settled.tile
    stride = facts.stride or (max(1, rows // 2), max(1, columns // 2))
    return Tiling(
        tile_size=rows,
        tile_columns=None if rows == columns else columns,
        whole=settled.free,
        whole_tiles=4 if settled.free else 1,
        stride=stride[0],
        stride_columns=None if stride[0] == stride[1] else stride[1],
        placement=facts.placement,
        blend=facts.blend,
        blend_in="logarithm" if facts.blend_logits else "probability",
        receptive_field=max(rows, columns),
    )


def _classes(settled: Settled) -> tuple[LesionClass, ...]:
    for name in (settled.names[lesion] for lesion in settled.lesions):
        if not name.isascii():
            raise AdoptError(
                f"a class is called {name}, and DICOM results hold ASCII alone: rename it, with "
                "--classes or in the file that names the classes"
            )
    codes = CODES | codes_of(settled)
    every = settled.facts.blend_logits
    return tuple(
        LesionClass(
            name=settled.names[lesion],
            # One logit is written out as two classes, of which the lesion is the second.
            channel=index if not every else max(lesion, int(settled.facts.outputs == 1)),
            code=codes.get(settled.names[lesion].lower()),
        )
        for index, lesion in enumerate(settled.lesions)
    )


@naming_flags()
def codes_of(settled: Settled) -> dict[str, ClassCode]:
    """Return the codes that the caller gives, by names in lower case.

    Raises
    ------
    AdoptError
        One is not written as it must be, or is of a class that is no lesion's.
    """
    codes = dict(_code(one) for one in settled.flags.codes)
    lesions = {settled.names[lesion].lower() for lesion in settled.lesions}
    for name in codes:
        if name not in lesions:
            raise AdoptError(
                f"--code {name}=...: no lesion is called so, but {', '.join(sorted(lesions))}"
            )
    return codes


def _code(text: str) -> tuple[str, ClassCode]:
    found = re.fullmatch(r"([^=]+)=([^:]+):([^:]+):(.+)", text)
    if found is None:
        raise AdoptError(f"--code {text}: NAME=VALUE:SCHEME:MEANING, as mass=4147007:SCT:Mass")
    name, value, scheme, meaning = found.groups()
    return name.lower(), ClassCode(value=value, scheme=scheme, meaning=meaning)


def golden_of(
    settled: Settled, answer: Callable[[NDArray[np.float32]], TileOutputs] | None
) -> GoldenTile:
    """Return the phantom in the tile's shape with the net's answer; an empty one where not asked.

    Parameters
    ----------
    answer
        The served graph; None while there is none.
    """
    rows, columns = settled.tile
    side = max(rows, columns)
    grey = np.ascontiguousarray(breast_phantom(side)[:rows, :columns])
    _, png = cv2.imencode(".png", grey, [cv2.IMWRITE_PNG_COMPRESSION, 9])
    low, high = (np.float32(one) for one in RANGES[settled.pixels.statistic])
    tile = low + grey.astype(np.float32) * np.float32((high - low) / 255.0)
    expected, logit = np.zeros((rows // 8, columns // 8), np.float32), 0.0
    if answer is not None:
        outputs = answer(tile[np.newaxis, np.newaxis])
        expected, logit = eighth(outputs.probability[0]), float(outputs.has_mask[0])
    return GoldenTile(
        tile_png=base64.b64encode(png.tobytes()).decode(),
        probability_eighth=base64.b64encode(expected.astype("<f2").tobytes()).decode(),
        has_mask_logit=logit,
        tolerance=TOLERANCE,
    )
