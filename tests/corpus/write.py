"""All variants, and the folder and table that they are written to."""

import csv
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path

from tests.corpus.contrast import depths, transforms
from tests.corpus.encodings import broken, encodings, oddities
from tests.corpus.kinds import frames, others
from tests.corpus.makers import intents, makers
from tests.corpus.pictures import pictures
from tests.corpus.places import orientations, spacings, views
from tests.corpus.variant import Variant
from tests.corpus.view import ATTRIBUTION, left_cc

PARTS = (
    *(encodings, oddities, broken, depths, transforms, orientations, spacings, views),
    *(makers, intents, frames, others, pictures),
)
MANIFEST = "manifest.csv"
COLUMNS = (
    *("name", "what", "rule", "query", "status", "code", "warnings", "intent", "laterality"),
    *("view", "spacing", "same_as", "turn", "exactly"),
)


def variants(side: int) -> Iterator[Variant]:
    """Yield the whole corpus, the image `side` pixels long; 0 for full size."""
    stored = left_cc(side)
    for part in PARTS:
        yield from part(stored)


@cache
def corpus(side: int) -> Mapping[str, Variant]:
    """Return the whole corpus by name; it is made once in a process."""
    return {variant.name: variant for variant in variants(side)}


def write_corpus(folder: Path, side: int) -> int:
    """Write files and `manifest.csv`; give the number of files."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "README.txt").write_text(f"{ATTRIBUTION}\n")
    with (folder / MANIFEST).open("w", newline="") as table:
        rows = csv.DictWriter(table, COLUMNS)
        rows.writeheader()
        count = 0
        for variant in variants(side):
            file = folder / variant.name
            file.parent.mkdir(exist_ok=True)
            file.write_bytes(variant.body)
            rows.writerow(row(variant))
            count += 1
    return count


def row(variant: Variant) -> dict[str, object]:
    """Return a variant's line of the manifest; what a refusal leaves open is empty."""
    good = variant.status == 200
    spacing = variant.spacing if good and variant.spacing else ()
    return {
        "name": variant.name,
        "what": variant.what,
        "rule": variant.rule,
        "query": variant.query,
        "status": variant.status,
        "code": variant.code,
        "warnings": " ".join(variant.warnings),
        "intent": variant.intent if good else "",
        "laterality": variant.laterality if good else "",
        "view": variant.view if good else "",
        "spacing": ",".join(f"{mm:.6g}" for mm in spacing),
        "same_as": variant.same_as,
        "turn": variant.turn,
        "exactly": "yes" if good and variant.same_as and variant.exactly else "",
    }
