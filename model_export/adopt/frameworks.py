"""Which frameworks' files are read: one row each."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from model_export.adopt import monai_bundle, nnunet, onnx_file, smp, torch_files
from model_export.adopt.errors import AdoptError
from model_export.adopt.flags import Flags
from model_export.adopt.foreign import Foreign


@dataclass(frozen=True, slots=True)
class Framework:
    """One way in.

    Attributes
    ----------
    takes
        In words.
    recognises
        Says of a path whether it is this framework's, without importing it.
    read
        Reads it.
    """

    takes: str
    recognises: Callable[[Path], bool]
    read: Callable[[Path, Flags], Foreign]


FRAMEWORKS = (
    Framework("an ONNX file", onnx_file.recognises, onnx_file.read),
    Framework("an nnU-Net results folder", nnunet.recognises, nnunet.read),
    Framework("a MONAI bundle", monai_bundle.recognises, monai_bundle.read),
    Framework("an smp checkpoint", smp.recognises, smp.read),
    Framework("a TorchScript file", torch_files.recognises_script, torch_files.read_script),
    Framework("a torch .pt2 file", torch_files.recognises_program, torch_files.read_program),
)


def read(source: Path, flags: Flags) -> Foreign:
    """Read a net of whichever framework wrote it.

    Raises
    ------
    AdoptError
        Of none that is known, or not whole.
    """
    if not source.exists():
        raise AdoptError(f"there is no {source}")
    for one in FRAMEWORKS:
        if one.recognises(source):
            return _read(one, source, flags)
    takes = "; ".join(one.takes for one in FRAMEWORKS)
    raise AdoptError(f"{source} is of no framework that is read here: {takes}")


def _read(framework: Framework, source: Path, flags: Flags) -> Foreign:
    try:
        return framework.read(source, flags)
    except (AttributeError, LookupError, TypeError, ValueError) as error:
        # JSON may hold anything in any place.
        raise AdoptError(
            f"{source.name} is not written as {framework.takes} is: "
            f"{type(error).__name__}: {str(error)[:200]}"
        ) from error
