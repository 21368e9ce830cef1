"""Further answers, typed: DICOM results, and the model in use."""

import io
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True, slots=True)
class DicomFile:
    """A DICOM result, as a file.

    Attributes
    ----------
    kind
        As it was asked for: "seg", "sr", ...
    content
        A Part 10 file.
    """

    kind: str
    content: bytes

    def dataset(self) -> Any:
        """Return it as a dataset of pydicom, which must be installed."""
        import pydicom

        return pydicom.dcmread(io.BytesIO(self.content))

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write it to a file."""
        Path(path).write_bytes(self.content)


@dataclass(frozen=True, slots=True)
class ModelDescription:
    """The model in use: its contract as JSON, the licence of its weights, its card in Markdown."""

    sha256: str
    service_version: str
    device: str
    contract: Mapping[str, Any]
    weights_licence: str
    model_card: str | None

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> "ModelDescription":
        """Read a `ModelDescription`."""
        return cls(*(document[name] for name in cls.__slots__))
