"""What results are made by: what a later run must agree in, to take them for done.

The model's file and the choices that mask and score depend on. Not the device: each reproduces the
golden tile. Nor the version of the program: what is done is kept until somebody asks for another
(`--overwrite`, or another folder), and an update must neither judge a whole archive again nor keep
it from going on. DICOM objects name the version that wrote them.
"""

import ast
import re
from hashlib import sha256

from service.inference.model_file import read_model
from service.segmenter import SegmentOptions
from service.settings import Settings

_EARLIER = re.compile(r"([0-9a-f]{64}) \S+ \w+(\(.*\))")
"""Model, version of the program, all options as Python shows them: those of what is made, too."""


def made_by(settings: Settings, options: SegmentOptions) -> str:
    """Return what results depend on beside the image: model and choices.

    Raises
    ------
    ContractError
        The model file cannot be read.
    """
    return _said(sha256(read_model(settings.model_paths[0])).hexdigest(), options)


def as_now(text: str) -> str:
    """Return what an earlier version wrote in the form of today; anything else as it is."""
    found = _EARLIER.fullmatch(text)
    if found is None:
        return text
    try:
        return _said(found[1], _options(found[2]))
    except (SyntaxError, TypeError, ValueError):
        return text


def _said(model: str, options: SegmentOptions) -> str:
    spacing, gate, frame = options.pixel_spacing_mm, options.gate, options.frame
    return f"{model} pixel_spacing_mm={spacing} gate={gate} frame={frame}"


def _options(arguments: str) -> SegmentOptions:
    call = ast.parse(f"options{arguments}", mode="eval").body
    if not isinstance(call, ast.Call):
        raise TypeError
    named = {each.arg: ast.literal_eval(each.value) for each in call.keywords}
    return SegmentOptions(
        named.get("pixel_spacing_mm"), named.get("gate", True), named.get("frame")
    )
