"""What an audit found: on the terminal, as Markdown and JSON, and as picture sheets."""

import json
import math
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from model_export.audit.duplicates import Pair
from model_export.audit.findings import BEYOND, Audit
from model_export.audit.leak import Probe
from model_export.audit.sheet import save_sheet
from model_export.datasets.kinds import kind_name

MAX_ROWS = 40
"""Pairs listed in a table; audit.json holds them all."""

Cells = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Section:
    """A table with what it means."""

    title: str
    meaning: str
    headings: Cells
    rows: tuple[Cells, ...]


def show(found: Audit, console: Console) -> None:
    """Print an audit."""
    for section in sections(found):
        table = Table(*section.headings, title=section.title, title_justify="left")
        for row in section.rows:
            table.add_row(*row)
        console.print(table if section.rows else f"[bold]{section.title}[/]: none")
        console.print(section.meaning, style="dim")
    for note in found.notes:
        console.print(note)
    console.print(verdict(found), style=_style(found))


def _style(found: Audit) -> str:
    if not found.sound:
        return "bold red"
    return "bold yellow" if found.unowned else "bold green"


def save(found: Audit, folder: Path) -> None:
    """Write audit.md, audit.json and a picture sheet for each kind of pair that was found."""
    folder.mkdir(parents=True, exist_ok=True)
    sheets = {
        "near-duplicates.png": ("near-duplicates", found.duplicates),
        "contradictory.png": ("near-duplicates with different labels", found.contradictory),
        "across-splits.png": ("near-duplicates across the split", found.across_splits),
        "beyond.png": (f"alike, up to {BEYOND:g} times the threshold", found.beyond),
    }
    drawn = {name: sheet for name, sheet in sheets.items() if sheet[1]}
    for name, (title, pairs) in drawn.items():
        save_sheet(pairs, title, folder / name)
    (folder / "audit.md").write_text(markdown(found, list(drawn)))
    (folder / "audit.json").write_text(json.dumps(plain(found), indent=1) + "\n")


def sections(found: Audit) -> Iterator[Section]:
    """Yield the tables of an audit, the gravest matters first."""
    yield Section(
        "images",
        "Positive means an annotated or suspicious lesion. Splits count patients.",
        ("source", "images", "positive", "patients", "annotation", "splits"),
        tuple(_sources(found)),
    )
    yield Section(
        "patients on two sides of the split, by identifier",
        "One is an error: what trained would judge itself.",
        ("source", "patient", "splits"),
        tuple((*owner, ", ".join(sorted(sides))) for owner, sides in found.shared.items()),
    )
    yield _pairs(
        "near-duplicates across the split",
        "One is an error: a person under two identifiers, or an image that came twice.",
        found.across_splits,
    )
    yield _pairs(
        "near-duplicates with different labels",
        "At least one of the two labels is wrong, or says more than the image shows.",
        found.contradictory,
    )
    yield _pairs(
        f"near-duplicates: distance below {found.threshold:g}",
        "Of one patient on one side of the split they only weigh double.",
        found.duplicates,
    )
    yield Section(
        "leak probe: what a linear model tells apart without seeing a lesion",
        "Passes unless the 95 % interval lies above 0.5; of forty probes one fails by chance. Of "
        "two splits the second named counts as positive. "
        "What leaks within a source need not be a fault of the data, as dense breasts hold more "
        "cancers: it is what a net must beat clearly, and what its training tiles must not repeat.",
        ("question", "seen", "where", "AUC", "interval", "positive", "patients", "verdict"),
        tuple(_probe(probe) for probe in found.probes),
    )


def verdict(found: Audit) -> str:
    """Say whether the split holds, and of which images that cannot be known."""
    if not found.sound:
        return (
            f"ERROR: {len(found.shared)} patients and {len(found.across_splits)} near-duplicates "
            "are on two sides of the split."
        )
    if not found.unowned:
        return "No patient is on two sides of the split."
    images = ", ".join(f"{count} of {source}" for source, count in found.unowned.items())
    return (
        f"Whether a patient is on two sides of the split cannot be known: nothing says whose these "
        f"images are: {images}. Each counts as a patient of its own; fill in `patient` in "
        "table.csv. Of all others, none is."
    )


def markdown(found: Audit, sheets: Sequence[str]) -> str:
    """Return the report as Markdown, with the sheets as pictures."""
    parts = ["# Audit of the data\n", f"**{verdict(found)}**\n"]
    for section in sections(found):
        parts.append(f"## {section.title}\n")
        if section.rows:
            rows = (section.headings, ("---",) * len(section.headings), *section.rows)
            parts.append("\n".join(f"| {' | '.join(row)} |" for row in rows) + "\n")
        else:
            parts.append("None.\n")
        parts.append(f"{section.meaning}\n")
    parts += [f"{note}\n" for note in found.notes]
    parts += [f"![{sheet}]({sheet})\n" for sheet in sheets]
    return "\n".join(parts)


def plain(found: Audit) -> dict[str, Any]:
    """Return everything that was found as JSON takes it; what is not known is null."""
    return {
        "sound": found.sound,
        "images_without_patient": found.unowned,
        "threshold": found.threshold,
        "images": len(found.images),
        "patients_on_two_sides": [
            {"source": source, "patient": patient, "splits": sorted(sides)}
            for (source, patient), sides in found.shared.items()
        ],
        "near_duplicates": [_plain_pair(pair) for pair in found.duplicates],
        "beyond": [_plain_pair(pair) for pair in found.beyond],
        "probes": [
            {
                key: None if isinstance(value, float) and math.isnan(value) else value
                for key, value in asdict(probe).items()
            }
            | {"leaks": probe.leaks, "verdict": probe.verdict}
            for probe in found.probes
        ],
        "notes": list(found.notes),
    }


def _plain_pair(pair: Pair) -> dict[str, Any]:
    names = [f"{image.source}/{image.name}" for image in (pair.first, pair.second)]
    return {
        "images": names,
        "distance": round(pair.distance, 5),
        "same_patient": pair.same_patient,
        "contradictory": pair.contradictory,
        "across_splits": pair.across_splits,
    }


def _sources(found: Audit) -> Iterator[Cells]:
    for source in dict.fromkeys(image.source for image in found.images):
        images = [image for image in found.images if image.source == source]
        sides = {image.owner: image.split for image in images}
        yield (
            source,
            str(len(images)),
            str(sum(image.has_lesion for image in images)),
            str(len(sides)),
            _counts(Counter(kind_name(image.annotation) for image in images)),
            _counts(Counter(str(side) for side in sides.values())),
        )


def _counts(counter: Counter[str]) -> str:
    return ", ".join(f"{count} {name}" for name, count in counter.most_common())


def _pairs(title: str, meaning: str, pairs: Sequence[Pair]) -> Section:
    rows = [
        (
            f"{pair.distance:.4f}",
            *(f"{image.source}/{image.name}" for image in (pair.first, pair.second)),
            "one patient" if pair.same_patient else "two patients",
            " / ".join(image.split for image in (pair.first, pair.second)),
            " / ".join("lesion" if one.has_lesion else "none" for one in (pair.first, pair.second)),
        )
        for pair in pairs[:MAX_ROWS]
    ]
    more = f" {len(pairs) - MAX_ROWS} more are in audit.json." if len(pairs) > MAX_ROWS else ""
    headings = ("distance", "image", "image", "of", "splits", "labels")
    return Section(f"{title} ({len(pairs)})", meaning + more, headings, tuple(rows))


def _probe(probe: Probe) -> Cells:
    auc, interval = "-", "-"
    if probe.known:
        auc, interval = f"{probe.auc:.3f}", f"{probe.low:.3f} to {probe.high:.3f}"
    count = f"{probe.positives} of {probe.images}"
    head = (probe.question, probe.seen, probe.where)
    return (*head, auc, interval, count, str(probe.patients), probe.verdict)
