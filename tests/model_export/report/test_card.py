from typing import Any

import pytest

from model_export.record import summary
from model_export.report.card import BEGIN, END, rewrite, section
from service.inference.contract import Contract, OperatingPoint, Provenance
from tests.identity_net import identity_contract
from tests.model_export.answers import evaluation, image_result, positive

pytestmark = pytest.mark.unit


def contract(**evaluated: float | str) -> Contract:
    provenance = Provenance(training_data=("x",), licence="", intended_use="", evaluation=evaluated)
    return identity_contract(provenance=provenance)


def test_only_what_stands_between_the_marks_changes() -> None:
    card = f"# Mine\n\n{BEGIN}\nstale\n{END}\n\nkept\n"
    text = rewrite(card, contract(**{"cdd-cesm/dice": 0.5}))
    assert text.startswith(f"# Mine\n\n{BEGIN}\n") and text.endswith(f"{END}\n\nkept\n")
    assert "stale" not in text and "0.500" in text
    assert rewrite(text, contract(**{"cdd-cesm/dice": 0.5})) == text


@pytest.mark.parametrize("card", ["no marks", BEGIN, f"{BEGIN}{BEGIN}{END}"])
def test_a_card_without_marks_is_left_alone(card: str) -> None:
    with pytest.raises(ValueError, match="must hold once"):
        rewrite(card, contract())


def test_a_recorded_evaluation_is_told_with_intervals_and_counts() -> None:
    found = evaluation()
    text = section(contract(**summary(found)))
    dice = found.figures["cdd-cesm/dice"]
    row = next(line for line in text.splitlines() if line.startswith("| CDD-CESM | Dice (mean"))
    cells = [cell.strip() for cell in row.split("|")[3:-1]]
    assert cells == [f"{dice.value:.3f}", f"{dice.low:.3f} to {dice.high:.3f}", "6", "4"]
    assert "test patients" in text


def test_the_card_says_what_the_lesions_were_known_by() -> None:
    images = [
        image_result("mine", str(n), True, 0.5, annotation=kind, outlined=positive(0.2))
        for n, kind in enumerate(("box", "pseudo_outline", "box"))
    ]
    text = section(contract(**summary(evaluation(images))))
    assert "What lesions were known by (images): mine: box (2), pseudo-outline (1). Pseudo" in text
    assert "of a box the inscribed ellipse is taken" in text
    assert "What lesions were known by" not in section(contract(**{"cdd-cesm/dice": 0.5}))


def test_figures_without_intervals_and_of_no_name_pass() -> None:
    evaluated: dict[str, Any] = {"cdd-cesm/dice": 0.5, "optimism": "yes", "a/b": 1.0}
    text = section(contract(**evaluated))
    assert "| 0.500 |  |  |  |" in text
    assert "optimism" not in text and "1.000" not in text


def test_thresholds_come_from_the_contract() -> None:
    point = OperatingPoint(
        has_mask=0.37, chosen_by="a coin", mask=0.6, candidate=0.25, minimum_region_mm2=9.0
    )
    text = section(identity_contract(operating_point=point))
    assert "| Has-mask threshold | 0.37: a coin |" in text
    assert "| Mask threshold | 0.6 |" in text
    assert "from probability 0.25, at least 9 mm2" in text
