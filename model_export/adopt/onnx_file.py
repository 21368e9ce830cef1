"""An ONNX file of whatever origin."""

from collections.abc import Sequence
from pathlib import Path

import onnx
from onnx import TensorProto

from model_export.adopt.errors import AdoptError
from model_export.adopt.flags import Flags
from model_export.adopt.foreign import Activation, Facts, Foreign

CHANNELS = (1, 3)
"""A mammogram is grey; nets that were begun on photographs take it three times."""

PASSING = ("Identity", "Cast", "Squeeze", "Unsqueeze", "Transpose", "Reshape")
"""Nodes that change no value."""

EXCLUSIVE = ("Softmax",)
SQUASHING = ("Sigmoid", "Softmax")


def recognises(path: Path) -> bool:
    """Say whether a path is an ONNX file, by its ending."""
    return path.is_file() and path.suffix == ".onnx"


def read(path: Path, flags: Flags) -> Foreign:
    """Read an ONNX file; weights in other files beside it are put into it.

    Raises
    ------
    AdoptError
        It is no ONNX model, or one of another kind than image in, map out.
    """
    try:
        model = onnx.load(str(path))
    except Exception as error:
        raise AdoptError(
            f"{path.name} cannot be read as an ONNX model ({type(error).__name__}); weights in "
            "other files must lie beside it, under the names that it states"
        ) from error
    return Foreign("onnx", path.stem, model, facts_of(model))


def facts_of(model: onnx.ModelProto) -> Facts:
    """Return what a graph says of itself.

    Raises
    ------
    AdoptError
        It is no net from an image to maps.
    """
    constants = {one.name for one in model.graph.initializer}
    inputs = [one for one in model.graph.input if one.name not in constants]
    if len(inputs) != 1 or not model.graph.output:
        raise AdoptError(
            f"the graph has {len(inputs)} inputs ({', '.join(one.name for one in inputs)}): one "
            "image is what goes in here"
        )
    del model.graph.input[:]
    model.graph.input.extend(inputs)
    del model.graph.output[1:]
    image, answer = inputs[0], model.graph.output[0]
    for value, word in ((image, "input"), (answer, "output")):
        if value.type.tensor_type.elem_type != TensorProto.FLOAT:
            kind = TensorProto.DataType.Name(value.type.tensor_type.elem_type)
            raise AdoptError(f"the graph's {word} {value.name} is {kind}: FLOAT is what is served")
    sides = _dimensions(image)
    if len(sides) != 4:
        raise AdoptError(f"the graph's input has {len(sides)} axes: (N, channels, rows, columns)")
    last = sides[1] not in CHANNELS and sides[3] in CHANNELS
    channels, *area = (sides[3], sides[1], sides[2]) if last else sides[1:]
    if channels not in CHANNELS:
        raise AdoptError(
            f"the graph's input has {channels} channels: 1 or 3 are what a grey image fills"
        )
    outputs = _dimensions(answer)
    if len(outputs) not in (3, 4):
        raise AdoptError(
            f"the graph's output {answer.name} has {len(outputs)} axes: a map has (N, classes, "
            "rows, columns); boxes and labels are not served"
        )
    flat = len(outputs) == 3
    classes = 1 if flat else outputs[3 if last else 1]
    if not isinstance(classes, int):
        raise AdoptError("the graph does not say how many classes its output has: export it so")
    squash = _ending(model)
    rows, columns = area
    tile = (rows, columns) if isinstance(rows, int) and isinstance(columns, int) else None
    return Facts(
        channels=1 if channels == 1 else 3,
        outputs=classes,
        tile=tile,
        last=last,
        flat=flat,
        exclusive=squash in EXCLUSIVE,
        activation=_activation(squash),
    )


def _activation(squash: str | None) -> Activation | None:
    return "none" if squash in SQUASHING else None


def _ending(model: onnx.ModelProto) -> str | None:
    """Return the kind of node that the output comes from, past those that change no value."""
    makers = {name: node for node in model.graph.node for name in node.output}
    name = model.graph.output[0].name
    while name in makers and makers[name].op_type in PASSING:
        name = makers[name].input[0]
    return str(makers[name].op_type) if name in makers else None


def _dimensions(value: onnx.ValueInfoProto) -> Sequence[int | str | None]:
    """Return a value's axes: a number, the name of a free one, or None."""
    return [
        side.dim_value if side.HasField("dim_value") else side.dim_param or None
        for side in value.type.tensor_type.shape.dim
    ]
