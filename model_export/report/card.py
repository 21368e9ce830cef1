"""The model card's figures, written from the contract alone, so that card and file agree."""

from collections.abc import Iterator, Mapping

from model_export.datasets.kinds import NOT_DRAWN
from model_export.datasets.names import source_name
from model_export.report.describe import DESCRIBED
from service.inference.contract import Contract

BEGIN = "<!-- figures: `python -m model_export card` writes what stands between these marks -->"
END = "<!-- end of figures -->"

KNOWN_BY = "known_by"
"""After "source/" in a contract's evaluation: what its lesions are known by, in words."""


def rewrite(card: str, contract: Contract) -> str:
    """Replace what stands between the marks with the contract's thresholds and figures.

    Raises
    ------
    ValueError
        The card lacks the marks, or has them twice.
    """
    if card.count(BEGIN) != 1 or card.count(END) != 1:
        raise ValueError(f"the card must hold once each {BEGIN!r} and {END!r}")
    before, _, rest = card.partition(BEGIN)
    _, _, after = rest.partition(END)
    return f"{before}{BEGIN}\n{section(contract)}{END}{after}"


def section(contract: Contract) -> str:
    """Return thresholds and figures as Markdown."""
    lines = [
        "## Operating point",
        "",
        "| | |",
        "| --- | --- |",
        *(f"| {name} | {text} |" for name, text in _point(contract)),
        "",
        "## How it did",
        "",
        f"On {contract.provenance.evaluation.get('split', 'no patients yet')}; 95 % intervals by "
        "resampling patients.",
        "",
        *_known_by(contract.provenance.evaluation),
        "| source | figure | value | 95 % interval | images | patients |",
        "| --- | --- | --- | --- | --- | --- |",
        *(f"| {' | '.join(cells)} |" for cells in _figures(contract.provenance.evaluation)),
        "",
    ]
    return "\n".join(lines)


def _point(contract: Contract) -> Iterator[tuple[str, str]]:
    point, score = contract.operating_point, contract.score
    shift = contract.provenance.evaluation.get("has_mask_shift", 0.0)
    yield (
        "Has-mask score",
        f"sigmoid of the {score.rule} of the tile logits over a temperature of "
        f"{score.temperature:.2f}; calibration moved the logit by {float(shift):+.2f}",
    )
    yield "Has-mask threshold", f"{point.has_mask:g}: {point.chosen_by}"
    yield "Mask threshold", f"{point.mask:g}"
    yield (
        "Candidates",
        f"from probability {point.candidate:g}, at least {point.minimum_region_mm2:g} mm2",
    )


def _known_by(values: Mapping[str, float | str]) -> Iterator[str]:
    """Say what lesions were known by, where the file says it."""
    known = [
        f"{source_name(source)}: {values[key]}"
        for key in sorted(values)
        if (source := key.removesuffix(f"/{KNOWN_BY}")) != key
    ]
    if known:
        yield f"What lesions were known by (images): {'; '.join(known)}. {NOT_DRAWN}"
        yield ""


def _figures(values: Mapping[str, float | str]) -> Iterator[tuple[str, ...]]:
    """Yield a row for every figure that is described, source after source, as in the report."""
    for source in sorted({key.split("/")[0] for key in values if "/" in key}):
        for name, described in DESCRIBED.items():
            key = f"{source}/{name}"
            value = values.get(key)
            if isinstance(value, float):
                yield (
                    source_name(source),
                    described.label + (f" ({described.meaning})" if described.meaning else ""),
                    f"{value:.3f}",
                    _interval(values, key),
                    _count(values, f"{key}/images"),
                    _count(values, f"{key}/patients"),
                )


def _interval(values: Mapping[str, float | str], key: str) -> str:
    low, high = values.get(f"{key}/low"), values.get(f"{key}/high")
    return "" if low is None or high is None else f"{float(low):.3f} to {float(high):.3f}"


def _count(values: Mapping[str, float | str], key: str) -> str:
    return f"{int(values[key])}" if key in values else ""
