"""A torch module -> a bare ONNX graph."""

import io
import logging
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import onnx
import torch

from model_export.adopt.errors import AdoptError
from model_export.adopt.foreign import Shape
from model_export.adopt.graph import OPSET

TRIED = (64, 96)
"""(rows, columns) that a net which takes any size is looked at with; halved five times each."""


def graph_of(net: torch.nn.Module, channels: int, tile: Shape | None) -> onnx.ModelProto:
    """Return the graph of a module, batch and (without a `tile`) sides free.

    Parameters
    ----------
    net
        In evaluation mode.
    channels
        Of its input.
    tile
        (rows, columns) that it takes, or is to take alone.

    Raises
    ------
    AdoptError
        torch cannot export it.
    """
    free = torch.export.Dim.DYNAMIC
    axes = {0: free} if tile is not None else {0: free, 2: free, 3: free}
    image = torch.zeros(2, channels, *(tile or TRIED))
    with _quiet(), _reasoned():
        program = torch.onnx.export(
            net,
            (image,),
            dynamo=True,
            opset_version=OPSET,
            dynamic_shapes=(axes,),
            input_names=["image"],
            output_names=["answer"],
            verbose=False,
        )
    assert program is not None
    return program.model_proto


def graph_of_program(program: torch.export.ExportedProgram) -> onnx.ModelProto:
    """Return the graph of a program that was exported before (a `.pt2` file).

    Raises
    ------
    AdoptError
        torch cannot turn it into ONNX.
    """
    with _quiet(), _reasoned():
        made = torch.onnx.export(
            program,
            dynamo=True,
            opset_version=OPSET,
            input_names=["image"],
            output_names=["answer"],
            verbose=False,
        )
    assert made is not None
    return made.model_proto


def graph_of_script(
    script: torch.jit.ScriptModule, channels: int, tile: Shape | None
) -> onnx.ModelProto:
    """Return the graph of a TorchScript module, which only torch's older exporter reads.

    Raises
    ------
    AdoptError
        torch cannot turn it into ONNX.
    """
    # It takes a file as well, which torch's annotation leaves out.
    sink: Any = io.BytesIO()
    sides = {} if tile is not None else {2: "rows", 3: "columns"}
    axes = {name: {0: "batch", **sides} for name in ("image", "answer")}
    with _quiet(), _reasoned():
        torch.onnx.export(
            script,
            (torch.zeros(1, channels, *(tile or TRIED)),),
            sink,
            dynamo=False,
            opset_version=OPSET,
            input_names=["image"],
            output_names=["answer"],
            dynamic_axes=axes,
        )
    model = onnx.load_from_string(sink.getvalue())
    return _with_classes(model, script, channels, tile)


def _with_classes(
    model: onnx.ModelProto, script: torch.jit.ScriptModule, channels: int, tile: Shape | None
) -> onnx.ModelProto:
    """State how many classes come out: the older exporter keeps it to itself."""
    with torch.no_grad():
        answer = script(torch.zeros(1, channels, *(tile or TRIED)))
    answers = answer if isinstance(answer, list | tuple) else [answer]
    for one, output in zip(answers, model.graph.output, strict=False):
        shape = output.type.tensor_type.shape
        if isinstance(one, torch.Tensor) and one.ndim == 4 and len(shape.dim) == 4:
            shape.dim[1].dim_value = int(one.shape[1])
    return model


def channels_of(net: Any, tile: Shape | None, tried: Sequence[int] = (1, 3)) -> int:
    """Return how many channels a module takes, found by asking it.

    Raises
    ------
    AdoptError
        It takes none of those tried.
    """
    for channels in tried:
        try:
            with torch.no_grad():
                net(torch.zeros(1, channels, *(tile or TRIED)))
        except RuntimeError:
            continue
        return channels
    size = "x".join(map(str, tile or TRIED))
    raise AdoptError(
        f"the module takes neither 1 nor 3 channels of {size} pixels: say the size that it takes "
        "with --tile ROWSxCOLUMNS"
    )


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep torch's remarks about its own exporters off the terminal."""
    logger = logging.getLogger("torch.onnx")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(level)


@contextmanager
def _reasoned() -> Iterator[None]:
    try:
        yield
    except Exception as error:
        first = str(error).strip().splitlines() or [""]
        raise AdoptError(
            f"torch cannot turn the module into ONNX: {type(error).__name__}: {first[0][:200]}"
        ) from error
