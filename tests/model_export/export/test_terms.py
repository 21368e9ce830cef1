import pytest

from model_export.export.terms import licence

pytestmark = pytest.mark.unit


def test_sources_that_ask_for_attribution_leave_commercial_use_free() -> None:
    text = licence(("cbis-ddsm-800", "cdd-cesm"))
    assert "CBIS-DDSM, masses at 800 x 800 (CC BY 3.0) and CDD-CESM (CC BY 4.0" in text
    assert "commercially too, with attribution" in text
    assert "No medical device" in text


@pytest.mark.parametrize("narrow", ["mini-mias", "rsna-640", "inbreast"])
def test_one_source_for_research_alone_decides(narrow: str) -> None:
    text = licence(("cbis-ddsm-800", narrow, "my-own"))
    assert "Research use only, no commercial use" in text
    assert "commercially too" not in text


def test_of_an_unknown_source_nothing_is_claimed() -> None:
    text = licence(("cbis-ddsm-800", "my-own"))
    assert "The terms of my-own bind them" in text
    assert "commercially too" not in text
