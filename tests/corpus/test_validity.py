"""The corpus by dicom3tools: a file is valid, or breaks the rule that it is there to break."""

import re
from pathlib import Path

import pytest

from tests.corpus.write import corpus
from tests.programs import program_says
from tests.service.outputs.dicom.conftest import iod_errors

pytestmark = pytest.mark.integration

FOLDERS = ("syntax", "depth", "contrast", "orientation", "spacing", "view", "maker", "processing")
"""Mammograms, written by the rules. The others are broken, or are no mammograms."""

SIDE = 64


def mammograms() -> dict[str, bytes]:
    """Return the files that are to be valid, by name."""
    return {
        name: variant.body
        for name, variant in corpus(SIDE).items()
        if name.split("/")[0] in FOLDERS and variant.status != 415
    }


DEFLATED = "syntax/deflated.dcm"
"""dciodvfy does not inflate."""

_NO_WINDOW = {"WindowCenter", "VOILUTSequence"}
_BARE = {"ImageLaterality", "ViewCodeSequence"}
DELIBERATE = {
    # The elements that are rejected, by file.
    **{
        f"depth/{bits}-signed-monochrome{kind}.dcm": {"PixelRepresentation"}
        for bits in (8, 10, 12, 14, 16)
        for kind in (1, 2)
    },
    "contrast/voi-lut-of-16-bits.dcm": {"LUTData"},
    "contrast/voi-lut-broken.dcm": {"LUTData"},
    "contrast/voi-lut-empty.dcm": {"LUTData", "LUTDescriptor"},
    "contrast/window-of-no-width.dcm": {"WindowWidth"},
    "contrast/rescale.dcm": _NO_WINDOW | {"RescaleIntercept", "RescaleSlope"},
    "contrast/rescale-broken.dcm": _NO_WINDOW | {"RescaleIntercept", "RescaleSlope"},
    "contrast/shape-contradicts.dcm": _NO_WINDOW | {"PresentationLUTShape"},
    "contrast/padding.dcm": _NO_WINDOW,
    "contrast/no-padding.dcm": _NO_WINDOW,
    "contrast/polarity-lies.dcm": {"PresentationLUTShape"},
    **{
        f"spacing/{name}.dcm": {"ImagerPixelSpacing"}
        for name in ("uncalibrated", "scanned", "none", "aspect", "aspect-broken")
    },
    "view/series-laterality.dcm": {"ImageLaterality"},
    "view/image-outranks-series.dcm": {"Laterality"},
    "view/oblique-orientation.dcm": _BARE | {"Laterality"},
    "view/view-in-orientation.dcm": _BARE | {"PatientOrientation"},
    "view/nothing.dcm": _BARE | {"Laterality", "PatientOrientation"},
    "view/uid.dcm": {"MediaStorageSOPInstanceUID", "SOPInstanceUID"},
    # As CBIS-DDSM ships.
    "maker/film-scan.dcm": {"PatientOrientation"},
    # Emptied by whoever removed the patient, and more.
    "maker/de-identified.dcm": _BARE | {"PatientOrientation", "WindowCenter", "WindowWidth"},
}


def elements_rejected(file: Path) -> set[str]:
    """Return the innermost element of every error."""
    found = (re.search(r"/([A-Za-z]+)\(....,....\)[^/]*>", line) for line in iod_errors(file))
    return {match[1] if match else "no element" for match in found}


def test_what_breaks_a_rule_is_in_the_corpus() -> None:
    assert set(DELIBERATE) < set(mammograms())


def test_a_file_is_valid_but_for_what_it_is_about(
    tmp_path: Path, subtests: pytest.Subtests
) -> None:
    for name, body in mammograms().items():
        if name == DEFLATED:
            continue
        with subtests.test(name):
            file = tmp_path / "file.dcm"
            file.write_bytes(body)
            assert elements_rejected(file) == DELIBERATE.get(name, set())


def test_the_deflated_one_is_valid_once_it_is_inflated(tmp_path: Path) -> None:
    file, plain = tmp_path / "deflated.dcm", tmp_path / "plain.dcm"
    file.write_bytes(mammograms()[DEFLATED])
    assert program_says("dcmconv", "dcmtk", "+te", file, plain) == ""
    assert elements_rejected(plain) == set()
