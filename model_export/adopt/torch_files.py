"""TorchScript files and exported programs (`.pt2`): a module, and not a word about pixels."""

import warnings
import zipfile
from pathlib import Path

from model_export.adopt.errors import AdoptError
from model_export.adopt.flags import Flags
from model_export.adopt.foreign import Foreign
from model_export.adopt.onnx_file import facts_of, not_served

SCRIPT_ENDINGS = (".pt", ".pth", ".ts", ".torchscript")
NO_PREDICTOR = "a torch file has no predictor of its own"


def recognises_script(path: Path) -> bool:
    """Say whether a file is a TorchScript archive: a zip that holds code."""
    if not path.is_file() or path.suffix not in SCRIPT_ENDINGS or not zipfile.is_zipfile(path):
        return False
    with zipfile.ZipFile(path) as archive:
        return any("/code/" in name for name in archive.namelist())


def recognises_program(path: Path) -> bool:
    """Say whether a path is an exported program, by its ending."""
    return path.is_file() and path.suffix == ".pt2"


def read_script(path: Path, flags: Flags) -> Foreign:
    """Read a TorchScript file.

    Raises
    ------
    AdoptError
        It does not load, or does not become ONNX.
    """
    import torch

    from model_export.adopt.torch_export import channels_of, graph_of_script

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            script = torch.jit.load(str(path), map_location="cpu").eval()  # type: ignore[no-untyped-call]
    except RuntimeError as error:
        raise AdoptError(f"{path.name} does not load as TorchScript") from error
    tile = flags.tile_shape
    model = graph_of_script(script, channels_of(script, tile), tile)
    return _foreign("torchscript", path, model, flags)


def read_program(path: Path, flags: Flags) -> Foreign:
    """Read an exported program.

    Raises
    ------
    AdoptError
        It does not load, or does not become ONNX.
    """
    import torch

    from model_export.adopt.torch_export import graph_of_program

    try:
        program = torch.export.load(str(path))
    except Exception as error:
        raise AdoptError(
            f"{path.name} does not load as an exported program: {type(error).__name__}"
        ) from error
    return _foreign("torch-export", path, graph_of_program(program), flags)


def _foreign(framework: str, path: Path, model: object, flags: Flags) -> Foreign:
    from onnx import ModelProto

    assert isinstance(model, ModelProto)
    facts = facts_of(model, flags.output)
    left_out = not_served(model, facts)
    return Foreign(framework, path.stem, model, facts, why_not=NO_PREDICTOR, remarks=left_out)
