"""An ONNX file of whatever origin."""

from collections.abc import Sequence
from dataclasses import replace
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
    facts = facts_of(model, flags.output)
    return Foreign("onnx", path.stem, model, facts, remarks=not_served(model, facts))


def facts_of(model: onnx.ModelProto, output: str | None = None) -> Facts:
    """Return what a graph says of itself.

    Parameters
    ----------
    model
        Inputs that have constants are taken off it.
    output
        Which one is the map; the first that might be when None, and `settle` asks where others
        might be as well.

    Raises
    ------
    AdoptError
        It is no net from an image to maps, or has no such output.
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
    named = {one.name: one for one in model.graph.output}
    if output is not None and output not in named:
        raise AdoptError(f"--output {output}: the graph has the outputs {', '.join(named)}")
    maps = tuple(name for name, one in named.items() if _may_be_map(one, inputs[0]))
    chosen = output or next(iter(maps or named))
    others = [_facts_or_none(model, name) for name in maps if name != chosen]
    return replace(
        _facts(model, named[chosen]),
        maps=maps if len(maps) > 1 else (),
        others=tuple(one for one in others if one is not None),
    )


def not_served(model: onnx.ModelProto, facts: Facts) -> tuple[str, ...]:
    """Return, as a remark, which outputs of a graph are left out."""
    names = [one.name for one in model.graph.output if one.name != facts.output]
    return (f"of its outputs, {', '.join(names)} is left out.",) if names else ()


def _may_be_map(output: onnx.ValueInfoProto, image: onnx.ValueInfoProto) -> bool:
    """Say whether an output may be a map of its image's size, by its type and axes."""
    if output.type.tensor_type.elem_type != TensorProto.FLOAT:
        return False
    given, made = _dimensions(image), _dimensions(output)
    if len(given) != 4 or len(made) not in (3, 4):
        return False
    area = given[1:3] if _is_last(given) else given[2:]
    sides = made[1:] if len(made) == 3 else made[1:3] if _is_last(given) else made[2:]
    return all(
        one == other
        for one, other in zip(area, sides, strict=True)
        if isinstance(one, int) and isinstance(other, int)
    )


def _facts_or_none(model: onnx.ModelProto, output: str) -> Facts | None:
    try:
        return _facts(model, next(one for one in model.graph.output if one.name == output))
    except AdoptError:
        return None


def _facts(model: onnx.ModelProto, answer: onnx.ValueInfoProto) -> Facts:
    image = model.graph.input[0]
    for value, word in ((image, "input"), (answer, "output")):
        if value.type.tensor_type.elem_type != TensorProto.FLOAT:
            kind = TensorProto.DataType.Name(value.type.tensor_type.elem_type)
            raise AdoptError(f"the graph's {word} {value.name} is {kind}: FLOAT is what is served")
    sides = _dimensions(image)
    if len(sides) != 4:
        raise AdoptError(f"the graph's input has {len(sides)} axes: (N, channels, rows, columns)")
    last = _is_last(sides)
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
    squash = _ending(model, answer.name)
    rows, columns = area
    tile = (rows, columns) if isinstance(rows, int) and isinstance(columns, int) else None
    return Facts(
        channels=1 if channels == 1 else 3,
        outputs=classes,
        tile=tile,
        last=last,
        flat=flat,
        exclusive=squash in EXCLUSIVE,
        output=answer.name,
        activation=_activation(squash),
    )


def _is_last(sides: Sequence[int | str | None]) -> bool:
    """Say whether the channels of an input come last."""
    return sides[1] not in CHANNELS and sides[3] in CHANNELS


def _activation(squash: str | None) -> Activation | None:
    return "none" if squash in SQUASHING else None


def _ending(model: onnx.ModelProto, name: str) -> str | None:
    """Return the kind of node that an output comes from, past those that change no value."""
    makers = {name: node for node in model.graph.node for name in node.output}
    while name in makers and makers[name].op_type in PASSING:
        name = makers[name].input[0]
    return str(makers[name].op_type) if name in makers else None


def _dimensions(value: onnx.ValueInfoProto) -> Sequence[int | str | None]:
    """Return a value's axes: a number, the name of a free one, or None."""
    return [
        side.dim_value if side.HasField("dim_value") else side.dim_param or None
        for side in value.type.tensor_type.shape.dim
    ]
