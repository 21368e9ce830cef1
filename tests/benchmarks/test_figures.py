import json
from pathlib import Path

import pytest

from benchmarks.figures import Figure, percentile, save

pytestmark = pytest.mark.unit


@pytest.mark.parametrize(
    ("least", "most", "reached"),
    [(None, None, None), (2.0, None, True), (2.1, None, False), (None, 1.9, False), (1, 3, True)],
)
def test_a_figure_knows_whether_its_bounds_hold(
    least: float | None, most: float | None, reached: bool | None
) -> None:
    assert Figure("it", 2.0, least=least, most=most).reached is reached


def test_figures_are_kept_with_the_machine_they_belong_to(tmp_path: Path) -> None:
    file = save(tmp_path / "new", {"pace": [Figure("it", 0.5, least=1.0)]}, "net 1.0.0")
    document = json.loads(file.read_text())
    (row,) = document["figures"]["pace"]
    assert (row["what"], row["value"], row["reached"]) == ("it", 0.5, False)
    assert document["machine"]["cores"] >= 1
    assert document["machine"]["versions"]["numpy"]


def test_percentiles_are_of_the_values() -> None:
    assert percentile([1.0, 2.0, 3.0, 4.0, 5.0], 50) == 3.0
