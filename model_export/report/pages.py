"""An evaluation as a folder: report.html, report.md, cases.md, figures.json, images.csv."""

import base64
import csv
import json
import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

from model_export.datasets.kinds import NOT_DRAWN, kind_name
from model_export.datasets.names import source_name
from model_export.evaluation import Evaluation, Figure, ImageResult
from model_export.evaluation.choices import by_source
from model_export.evaluation.gallery import Case
from model_export.evaluation.sheets import Sheet
from model_export.evaluation.targets import TargetResult, judge
from model_export.report.canvas import Plot
from model_export.report.describe import GROUPS, Described
from model_export.report.forest import MEASURES
from model_export.report.known_by import known_by
from model_export.report.plots import plots
from model_export.report.published import OURS, beside

COLUMNS = (
    "source",
    "name",
    "patient",
    "has_lesion",
    "annotation",
    "view",
    "laterality",
    "density",
    "pathology",
    "manufacturer",
    "score",
    "probe",
    "dice",
    "dice_brightest",
    "lesion_share",
    "marks",
    "selected",
)
"""Of images.csv."""


@dataclass(frozen=True, slots=True)
class Row:
    """One figure of every source; None where a source cannot show it."""

    described: Described
    cells: tuple[Figure | None, ...]


@dataclass(frozen=True, slots=True)
class Table:
    """Figures that belong together, a column a source.

    `counts` are the images and patients of the group's first figure in each source.
    """

    title: str
    sources: tuple[str, ...]
    counts: tuple[tuple[int, int] | None, ...]
    rows: tuple[Row, ...]


@dataclass(frozen=True, slots=True)
class CaseFile:
    """A case with the name of its file."""

    case: Case
    file: str


@dataclass(frozen=True, slots=True)
class SheetFile:
    """A sheet with the name of its file."""

    sheet: Sheet
    file: str


def save(evaluation: Evaluation, folder: Path) -> None:
    """Write everything into a folder.

    report.html holds all its pictures. report.md and plots/ hold no image of a patient, so they
    may be published where the data sets may not; cases.md and cases/ do hold them, the sheets of
    the best and the worst among them.

    Parameters
    ----------
    evaluation
        What was found.
    folder
        Created where it is absent; files of the same names are replaced.
    """
    drawn = plots(evaluation)
    shown = [
        CaseFile(case, f"{number:03d}.jpg") for number, case in enumerate(evaluation.cases, start=1)
    ]
    sheets = [
        SheetFile(one, f"{one.kind}-{Path(one.source).name}.png") for one in evaluation.sheets
    ]
    for part in ("plots", "cases"):
        (folder / part).mkdir(parents=True, exist_ok=True)
    for plot in drawn:
        (folder / "plots" / f"{plot.name}.png").write_bytes(plot.png)
    for one in shown:
        (folder / "cases" / one.file).write_bytes(one.case.jpeg)
    for each in sheets:
        (folder / "cases" / each.file).write_bytes(each.sheet.png)
    context = _context(evaluation, drawn, shown) | {"sheets": sheets}
    for name in ("report.html", "report.md", "cases.md"):
        (folder / name).write_text(_render(name, context), encoding="utf-8")
    (folder / "figures.json").write_text(json.dumps(_plain(evaluation), indent=1) + "\n")
    _write_images(evaluation.images, folder / "images.csv")


def tables(figures: dict[str, Figure]) -> list[Table]:
    """Lay out figures by group, leaving out rows that no source can fill."""
    found = []
    for group in GROUPS:
        sources = sorted({key.rpartition("/")[0] for key in figures if _of(key, group.figures)})
        rows = [
            Row(one, tuple(figures.get(f"{source}/{one.key}") for source in sources))
            for one in group.figures
        ]
        filled = tuple(row for row in rows if any(row.cells))
        if filled:
            counts = tuple(_count(filled, column) for column in range(len(sources)))
            found.append(Table(group.title, tuple(sources), counts, filled))
    return found


def _of(key: str, described: Sequence[Described]) -> bool:
    return key.rpartition("/")[2] in {one.key for one in described}


def _count(rows: Sequence[Row], column: int) -> tuple[int, int] | None:
    cells = [cell for row in rows if (cell := row.cells[column]) is not None]
    return (cells[0].images, cells[0].patients) if cells else None


def _context(
    evaluation: Evaluation, drawn: Sequence[Plot], shown: Sequence[CaseFile]
) -> dict[str, Any]:
    point = evaluation.contract.operating_point
    return {
        "evaluation": evaluation,
        "point": point,
        "images": len(evaluation.images),
        "patients": len({(one.source, one.patient) for one in evaluation.images}),
        "target_results": target_results(evaluation),
        "published": beside(evaluation.figures),
        "our": evaluation.figures.get(OURS),
        "tables": tables(evaluation.figures),
        "plots": drawn,
        "known_by": known_by(evaluation.images),
        "not_drawn": NOT_DRAWN,
        "strata": evaluation.strata,
        "measures": MEASURES,
        "cases": _by_kind(shown),
        "threshold": point.has_mask,
    }


def target_results(evaluation: Evaluation) -> list[TargetResult]:
    """Return the targets held against the figures of this model."""
    return judge(evaluation.figures, evaluation.contract.provenance.training_data)


def _by_kind(shown: Sequence[CaseFile]) -> dict[tuple[str, str], list[CaseFile]]:
    kinds: dict[tuple[str, str], list[CaseFile]] = {}
    for one in shown:
        kinds.setdefault((one.case.image.source, one.case.kind), []).append(one)
    return kinds


def _render(name: str, context: dict[str, Any]) -> str:
    environment = Environment(
        loader=PackageLoader(__name__.rpartition(".")[0]),
        autoescape=name.endswith(".html"),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters |= {
        "data": lambda content: base64.b64encode(content).decode(),
        "number": lambda value: "-" if math.isnan(value) else f"{value:.3f}",
        "source": source_name,
        "kind": lambda annotation: kind_name(annotation),
    }
    return environment.get_template(f"{name}.j2").render(context)


def _plain(evaluation: Evaluation) -> dict[str, Any]:
    """Return everything numeric; what is not known is null."""
    return {
        "model": {key: getattr(evaluation.model, key) for key in ("name", "version", "sha256")},
        "options": asdict(evaluation.options),
        "has_mask_threshold": evaluation.contract.operating_point.has_mask,
        "refused": evaluation.refused,
        "remarks": list(evaluation.remarks),
        "timings": [asdict(one) for one in evaluation.timings],
        "targets": [_plain_target(one) for one in target_results(evaluation)],
        "figures": {key: _plain_figure(one) for key, one in evaluation.figures.items()},
        "known_by": known_by(evaluation.images),
        "strata": [
            {
                "source": one.source,
                "dimension": one.dimension,
                "name": one.name,
                "positives": one.positives,
                "small": one.is_small,
                "figures": {key: _plain_figure(each) for key, each in one.figures.items()},
            }
            for one in evaluation.strata
        ],
    }


def _plain_target(result: TargetResult) -> dict[str, Any]:
    target = result.target
    return {
        "text": target.text,
        "figure": target.key,
        "bar": target.bar,
        "at_most": target.at_most,
        "verdict": result.verdict,
    }


def _plain_figure(figure: Figure) -> dict[str, float | int | None]:
    return {
        key: None if isinstance(value, float) and math.isnan(value) else value
        for key, value in asdict(figure).items()
    }


def _write_images(images: Sequence[ImageResult], path: Path) -> None:
    """Write one line an image, so that two models can be compared image by image."""
    with path.open("w", newline="", encoding="utf-8") as table:
        writer = csv.writer(table)
        writer.writerow(COLUMNS)
        for own in by_source(images).values():
            writer.writerows(_line(image) for image in own)


def _line(image: ImageResult) -> tuple[object, ...]:
    drawn = image.outlined
    values = (
        image.source,
        image.name,
        image.patient,
        None if image.has_lesion is None else int(image.has_lesion),
        image.annotation,
        image.view,
        image.laterality,
        image.density,
        image.pathology,
        image.manufacturer,
        round(image.score, 6),
        None if image.probe is None else round(image.probe, 6),
        None if image.dice is None else round(image.dice, 6),
        None if drawn is None or drawn.dice_brightest is None else round(drawn.dice_brightest, 6),
        None if drawn is None else round(drawn.share, 6),
        len(image.marks),
        image.selected,
    )
    return tuple("" if value is None else value for value in values)
