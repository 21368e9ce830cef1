"""Reading a model file: one regular file of bounded size, which is all that there is of the model.

ONNX lets a tensor lie in another file. The runtime would look for that in the folder of the moment,
and the hash of the model would not cover it.
"""

import hashlib
import re
import stat
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Self

from service.errors import ContractError
from service.system.passing import may_pass

if TYPE_CHECKING:
    from service.inference.signature import PublicKey

MAX_MODEL_BYTES = 512 * 2**20

PARTS: dict[str, dict[int, str]] = {
    "model": {7: "graph", 20: "training", 25: "function"},
    "training": {1: "graph", 2: "graph"},
    "function": {7: "node", 11: "attribute"},
    "graph": {1: "node", 5: "tensor", 15: "sparse tensor"},
    "node": {5: "attribute"},
    "attribute": {
        5: "tensor",
        6: "graph",
        10: "tensor",
        11: "graph",
        22: "sparse tensor",
        23: "sparse tensor",
    },
    "sparse tensor": {1: "tensor", 2: "tensor"},
    "tensor": {},
}
"""Of each message that may hold a tensor, the fields that do (onnx.proto3)."""

EXTERNAL_DATA, DATA_LOCATION = 13, 14
"""Fields of a tensor that lies elsewhere."""

VARINT, FIXED_64, BYTES, FIXED_32 = 0, 1, 2, 5
"""Wire types of protocol buffers."""


MAX_ID = 64


def model_id(path: Path) -> str:
    """Return what callers name a model by: its file's name without the ending.

    At most `MAX_ID` letters, digits, points, hyphens and underscores of ASCII, so that it is fit
    for headers and labels; other characters are hyphens.
    """
    return re.sub(r"[^A-Za-z0-9._-]+", "-", path.stem)[:MAX_ID]


@dataclass(frozen=True, slots=True, eq=False)
class ModelFile:
    """A model file that was read once: what was checked is what is opened.

    Attributes
    ----------
    path
        Where it was read.
    content
        All its bytes.
    sha256
        Of them, in hex.
    """

    path: Path
    content: bytes
    sha256: str

    @classmethod
    def read(cls, path: Path, keys: "Sequence[PublicKey]" = ()) -> Self:
        """Read a model file; with `keys`, one of them must have signed it.

        Raises
        ------
        ContractError
            It cannot be read, is no regular file, is too large, is no ONNX model, or names further
            files.
        SignatureError
            It is not signed as it must be.
        """
        content = read_bytes(path)
        if keys:
            # It takes 10 MiB.
            from service.inference.signature import check_signature

            # Before anything looks into bytes of who knows whom.
            check_signature(path, content, keys)
        check_content(path, content)
        return cls(path, content, hashlib.sha256(content).hexdigest())

    @property
    def id(self) -> str:
        """What callers name it by."""
        return model_id(self.path)


def read_model(path: Path) -> bytes:
    """Read a model file, signed or not; see `ModelFile.read`."""
    return ModelFile.read(path).content


def read_bytes(path: Path) -> bytes:
    """Read a file that may be a model.

    Raises
    ------
    ContractError
        It cannot be read, is no regular file, or is too large.
    """
    try:
        # Before it is opened: whoever opens a FIFO waits.
        if not stat.S_ISREG(path.stat().st_mode):
            raise ContractError(f"the model file {path} is no regular file{_folder_hint(path)}")
        with path.open("rb") as file:
            model = file.read(MAX_MODEL_BYTES + 1)
    except OSError as error:
        reason = f"cannot read the model file {path}: {error.strerror}"
        raise ContractError(reason, may_pass=may_pass(error)) from error
    if len(model) > MAX_MODEL_BYTES:
        raise ContractError(f"the model file {path} is over {MAX_MODEL_BYTES >> 20} MiB")
    return model


def check_content(path: Path, model: bytes) -> None:
    """Check that bytes are an ONNX model, and all of it.

    Raises
    ------
    ContractError
        They are not; the message names `path`.
    """
    try:
        external = has_external_data(model)
    except (IndexError, ValueError):
        raise ContractError(f"{path} is not an ONNX model{_checkpoint_hint(path)}") from None
    if external:
        raise ContractError(
            f"the model file {path} keeps tensors in other files (external data), where its hash "
            f"does not reach: save it as one file, or run {adopt_command(path)}, which does"
        )


FOREIGN_FOLDERS = {
    "nnU-Net results": ("dataset.json", "plans.json"),
    "MONAI bundle": ("configs/metadata.json",),
    "segmentation-models-pytorch checkpoint": ("config.json",),
}
"""What lies in folders that other frameworks write."""

FOREIGN_ENDINGS = (".pt", ".pt2", ".pth", ".ts", ".ckpt", ".safetensors")


def adopt_command(path: Path) -> str:
    """Return the command that makes a served file of another framework's."""
    return f"`mammoseg adopt {path} --sample view.dcm --out {path.stem}.adopted.onnx`"


def unwrapped(path: Path) -> str:
    """Say what a model lacks that carries no contract, and what to do."""
    return (
        "it carries no mammoseg contract (what goes in, what comes out, at which spacing): run "
        f"{adopt_command(path)} and serve the file that it writes"
    )


def _folder_hint(path: Path) -> str:
    for kind, holds in FOREIGN_FOLDERS.items():
        if path.is_dir() and all((path / name).is_file() for name in holds):
            return f" but a folder of {kind}: run {adopt_command(path)}"
    return ""


def _checkpoint_hint(path: Path) -> str:
    if path.suffix not in FOREIGN_ENDINGS:
        return ""
    return f"; where it is another framework's, run {adopt_command(path)}"


def has_external_data(model: bytes) -> bool:
    """Say whether a tensor of an ONNX model lies outside of it.

    Raises
    ------
    IndexError, ValueError
        These are not the fields of a protocol buffer.
    """
    parts = [("model", 0, len(model))]
    while parts:
        kind, start, end = parts.pop()
        for field, wire, first, last in _fields(model, start, end):
            if kind == "tensor" and (
                field == EXTERNAL_DATA
                # 0, DEFAULT, may be written out.
                or (field == DATA_LOCATION and _varint(model, first)[0] != 0)
            ):
                return True
            if wire == BYTES and field in PARTS[kind]:
                parts.append((PARTS[kind][field], first, last))
    return False


def _fields(data: bytes, at: int, end: int) -> Iterator[tuple[int, int, int, int]]:
    """Return number, wire type, and the offset of the value, of each field of a message."""
    while at < end:
        tag, at = _varint(data, at)
        field, wire = tag >> 3, tag & 7
        first = at
        if wire == VARINT:
            _, at = _varint(data, at)
        elif wire in (FIXED_32, FIXED_64):
            at += 4 if wire == FIXED_32 else 8
        elif wire == BYTES:
            length, first = _varint(data, at)
            at = first + length
        else:
            raise ValueError("a wire type that ONNX has not")
        if field == 0 or at > end:
            raise ValueError("no field, or one that ends outside of its message")
        yield field, wire, first, at


def _varint(data: bytes, at: int) -> tuple[int, int]:
    """Return a number of up to ten bytes, and where it ends."""
    value = 0
    for shift in range(0, 70, 7):
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at
    raise ValueError("a number without an end")
