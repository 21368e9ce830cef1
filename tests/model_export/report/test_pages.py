import csv
import json
import math
import re
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from matplotlib.axes import Axes

from model_export import resampling
from model_export.evaluation import Figure, Options, Timing
from model_export.evaluation.gallery import Case
from model_export.evaluation.sheets import Sheet
from model_export.report import pages
from model_export.report.pages import save, tables
from model_export.report.plots import plots
from model_export.report.published import PUBLISHED, beside
from model_export.report.terminal import show
from tests.model_export.answers import evaluation, image_result, positive

pytestmark = pytest.mark.integration

ODD = image_result("cdd-cesm", "1", True, 0.4, outlined=positive(0.2))
CASE = Case("lowest Dice", replace(ODD, name="<script>"), b"\xff\xd8picture")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("report")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(resampling, "RESAMPLES", 20)
        save(evaluation(cases=[CASE], refused={"views: not-an-image": 2}), folder)
    return folder


def test_the_page_holds_all_its_pictures_and_calls_nobody(folder: Path) -> None:
    page = (folder / "report.html").read_text()
    drawn = len(list((folder / "plots").glob("*.png")))
    assert page.count("data:image/png;base64,") == drawn >= 8
    assert page.count("data:image/jpeg;base64,") == 1
    assert not re.search(r'(src|href)="(?!data:|#)', page)
    assert "http" not in page


def test_names_are_escaped(folder: Path) -> None:
    page = (folder / "report.html").read_text()
    assert "<script>" not in page
    assert "&lt;script&gt;" in page


def test_markdown_links_exist_and_hold_no_patient_s_picture(folder: Path) -> None:
    text = (folder / "report.md").read_text()
    links = re.findall(r"!\[.*?\]\((.*?)\)", text)
    assert links and all((folder / link).is_file() for link in links)
    assert all(link.startswith("plots/") for link in links)
    shown = re.findall(r"!\[.*?\]\((.*?)\)", (folder / "cases.md").read_text())
    assert shown == ["cases/001.jpg"]
    assert (folder / shown[0]).read_bytes() == CASE.jpeg


def test_every_markdown_table_is_whole(folder: Path) -> None:
    rows = [row for row in (folder / "report.md").read_text().split("\n") if row.startswith("|")]
    text = (folder / "report.md").read_text()
    blocks = re.findall(r"(?:^\|.*\n)+", text, re.MULTILINE)
    assert sum(block.count("\n") for block in blocks) == len(rows)
    for block in blocks:
        lines = block.splitlines()
        assert set(lines[1]) <= set("| -")
        assert len({line.count("|") for line in lines}) == 1


def test_what_a_dice_was_measured_against_is_said_wherever_it_stands(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from rich.console import Console

    monkeypatch.setattr(resampling, "RESAMPLES", 20)
    titles: list[str] = []
    monkeypatch.setattr(Axes, "set_title", lambda _, title: titles.append(title))
    kinds = ("box", "box", "pseudo_outline")
    images = [
        image_result("mine", str(n), True, 0.5, annotation=kind, outlined=positive(0.2 + 0.1 * n))
        for n, kind in enumerate(kinds)
    ]
    case = Case("lowest Dice", images[0], b"\xff\xd8picture")
    found = evaluation(images, cases=[case])
    save(found, tmp_path)
    show(found, Console(width=160))
    said = "mine: box (2), pseudo-outline (1)"
    for name in ("report.html", "report.md"):
        text = " ".join((tmp_path / name).read_text().split())
        assert said in text and "of a box the inscribed ellipse is taken" in text
    for name in ("report.html", "cases.md"):
        assert "Dice 0.20 (box)" in (tmp_path / name).read_text()
    assert titles.count("mine\nbox (2), pseudo-outline (1)") == 2  # FROC and Dice
    assert json.loads((tmp_path / "figures.json").read_text())["known_by"] == {
        "mine": "box (2), pseudo-outline (1)"
    }
    assert "mine: lesions are known by box (2), pseudo-outline (1)" in capsys.readouterr().out


def test_targets_and_refusals_are_told(folder: Path) -> None:
    for name in ("report.html", "report.md"):
        text = (folder / name).read_text()
        assert "not met" in text and "not measured" in text
        assert "views: not-an-image" in text


SHEET = Sheet("cbis-ddsm-800", "worst", (ODD,), b"\x89PNGsheet")


def found_on_cbis(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, **changes: object) -> Path:
    """Save a report of one CBIS-DDSM image, without plots."""
    monkeypatch.setattr(pages, "plots", lambda _: [])
    monkeypatch.setattr(resampling, "RESAMPLES", 20)
    image = image_result(
        "cbis-ddsm-800",
        "1",
        True,
        0.4,
        outlined=positive(0.2),
        annotation="pseudo_outline",
        laterality="L",
        pathology="BENIGN",
    )
    save(evaluation([image], **changes), tmp_path)
    return tmp_path


def test_published_figures_stand_beside_ours_and_say_whether_they_can_be_compared(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = found_on_cbis(tmp_path, monkeypatch)
    text = (folder / "report.md").read_text()
    studies = tuple(f"| {one.study}" for one in PUBLISHED)
    rows = [row for row in text.splitlines() if row.startswith(studies)]
    assert len(rows) == len(PUBLISHED)
    assert all("not comparable: " in row or "| comparable: " in row for row in rows)
    assert "PMC6872953" in rows[0] and "| 1.000 (" in rows[0]
    assert "not comparable" in (folder / "report.html").read_text()
    assert beside(evaluation().figures) == []


def test_pseudo_outlines_have_a_table_of_their_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = (found_on_cbis(tmp_path, monkeypatch) / "report.md").read_text()
    assert "### Pseudo-outlines" in text and "| Dice (pseudo-outline) | 0.200" in text
    assert "### Outlines drawn by people" not in text


def test_sheets_lie_beside_the_cases_and_never_in_what_may_be_published(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = found_on_cbis(tmp_path, monkeypatch, sheets=(SHEET,))
    assert (folder / "cases" / "worst-cbis-ddsm-800.png").read_bytes() == SHEET.png
    assert "cases/worst-cbis-ddsm-800.png" in (folder / "cases.md").read_text()
    assert "worst-" not in (folder / "report.md").read_text()


def test_the_rule_of_views_and_the_time_are_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    timing = Timing("rsna-640", 2540, 3140, 300.0)
    folder = found_on_cbis(tmp_path, monkeypatch, timings=(timing,))
    for name in ("report.md", "report.html"):
        text = " ".join((folder / name).read_text().split())
        assert "as many lesions as the view that shows the most" in text
        assert "2540 images, 3140 answers" in text
    kept = json.loads((folder / "figures.json").read_text())
    assert kept["timings"][0]["asked"] == 3140


def test_what_is_known_of_an_image_is_in_the_table(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with (found_on_cbis(tmp_path, monkeypatch) / "images.csv").open(newline="") as table:
        (row,) = csv.DictReader(table)
    assert (row["laterality"], row["pathology"], row["manufacturer"]) == ("L", "BENIGN", "")


def test_json_is_strict_and_holds_every_figure(folder: Path) -> None:
    def refuse(constant: str) -> None:
        raise AssertionError(constant)

    found = json.loads((folder / "figures.json").read_text(), parse_constant=refuse)
    expected = evaluation().figures
    assert set(found["figures"]) == set(expected)
    value = found["figures"]["cdd-cesm/dice"]["value"]
    assert value == pytest.approx(expected["cdd-cesm/dice"].value)
    assert {one["verdict"] for one in found["targets"]} >= {"met", "not met"}


def test_an_interval_that_is_unknown_is_null(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pages, "plots", lambda _: [])
    figure = Figure(0.5, math.nan, math.nan, 1, 1)
    save(evaluation(figures={"cdd-cesm/dice": figure}), tmp_path)
    kept = json.loads((tmp_path / "figures.json").read_text())["figures"]["cdd-cesm/dice"]
    assert (kept["value"], kept["low"], kept["high"]) == (0.5, None, None)


def test_images_are_listed_so_that_models_can_be_compared(folder: Path) -> None:
    with (folder / "images.csv").open(newline="") as table:
        rows = list(csv.DictReader(table))
    assert len(rows) == len(evaluation().images)
    unlabelled = next(row for row in rows if row["source"] == "views")
    assert (unlabelled["has_lesion"], unlabelled["dice"], unlabelled["marks"]) == ("", "", "1")
    assert {row["dice"] for row in rows if row["source"] == "cdd-cesm"} >= {"0.1", "0.2"}


def test_a_try_is_called_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pages, "plots", lambda _: [])
    save(evaluation(options=Options(limit=3)), tmp_path)
    for name in ("report.html", "report.md"):
        assert "nothing" in (tmp_path / name).read_text().replace("\n", " ")


def test_nothing_examined_makes_an_empty_report(tmp_path: Path) -> None:
    save(evaluation([]), tmp_path)
    assert "not measured" in (tmp_path / "report.md").read_text()
    assert not list((tmp_path / "plots").iterdir())


@pytest.mark.long
def test_plots_are_bounded_and_the_same_each_time(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(resampling, "RESAMPLES", 20)
    again = {plot.name: plot.png for plot in plots(evaluation())}
    assert {"froc", "roc", "scores", "reliability", "dice", "contrast"} <= set(again)
    for name, png in again.items():
        assert (folder / "plots" / f"{name}.png").read_bytes() == png
        image = cv2.imdecode(np.frombuffer(png, np.uint8), cv2.IMREAD_COLOR)
        assert max(image.shape) <= 2000 and len(png) < 200_000
        assert image.std() > 10


def test_tables_have_a_column_a_source_and_no_empty_row() -> None:
    found = {table.title: table for table in tables(evaluation().figures)}
    assert found["Outlines drawn by people"].sources == ("cdd-cesm", "mini-mias")
    assert found["Images"].sources == ("cdd-cesm", "mini-mias", "rsna-640")
    assert all(any(row.cells) for table in found.values() for row in table.rows)
    dice = found["Outlines drawn by people"].rows[0]
    assert dice.cells[0] is not None and dice.cells[0].images == 6
    assert found["Outlines drawn by people"].counts[0] == (6, 4)


def test_the_terminal_shows_targets(capsys: pytest.CaptureFixture[str]) -> None:
    from rich.console import Console

    show(evaluation(refused={"x: y": 1}), Console(width=160))
    text = capsys.readouterr().out
    assert "not met" in text and "1 x x: y" in text
