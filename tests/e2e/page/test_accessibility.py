"""axe finds no fault in the page: empty, with an image, with four, with a refusal."""

from pathlib import Path
from typing import Any

import pytest

from tests.dicom_files import dicom_file, phantom
from tests.e2e.page.conftest import Visit, folder_of

pytestmark = [pytest.mark.e2e, pytest.mark.slow]


def faults_of(page: Any) -> list[str]:
    """Let axe-core look at the page; the package that brings it is `axe-playwright-python`."""
    axe = folder_of("axe_playwright_python") / "axe.min.js"
    # Given to the browser's debugger, since the page's own policy takes no script from elsewhere.
    page.evaluate(axe.read_text(encoding="utf-8"))
    result = page.evaluate("() => axe.run(document, {resultTypes: ['violations']})")
    assert len(result["passes"]) > 10
    return [
        f"{fault['id']}: {fault['help']}: {[node['html'] for node in fault['nodes']]}"
        for fault in result["violations"]
    ]


@pytest.mark.long
def test_the_empty_page(visit: Visit) -> None:
    assert faults_of(visit.page) == []


def test_with_an_image_and_everything_open(visit: Visit, cbis_files: list[Path]) -> None:
    visit.open(cbis_files[2])
    visit.page.get_by_text("Spacing and frame", exact=True).click()
    visit.page.get_by_text("Keys", exact=True).click()
    visit.choose("overlay", "heatmap")
    assert faults_of(visit.page) == []


@pytest.mark.long
def test_with_four_views_and_a_refusal(
    visit: Visit, cbis_files: list[Path], tmp_path: Path
) -> None:
    ct = tmp_path / "ct.dcm"
    ct.write_bytes(dicom_file(phantom(), SOPClassUID="1.2.840.10008.5.1.4.1.1.2", Modality="CT"))
    visit.open(*cbis_files[:2], ct)
    assert faults_of(visit.page) == []
