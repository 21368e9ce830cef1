import pytest
from pydicom.dataset import Dataset

from tests.service.inbox.conftest import mammogram
from tests.soak import replicas
from tests.soak.kills import DESTINATIONS, judge, run
from tests.stow_server import StowServer
from tests.thinned import thinned

SEED = 2
"""By it the second kill hits a service that has not begun to listen."""


@pytest.mark.slow
@pytest.mark.e2e
@pytest.mark.parametrize(
    ("to", "kills"),
    [
        ("stow", 2),
        *(pytest.param(to, 4, marks=pytest.mark.long) for to in DESTINATIONS),
    ],
)
def test_a_few_kills_lose_nothing_and_double_nothing(to: str, kills: int) -> None:
    """A hundred are `python -m tests.soak.kills --kills 100 --to stow`."""
    tally = run(kills, SEED, to=to)
    assert tally.faults == [], tally
    assert tally.accepted > 0
    assert tally.states.keys() == {"delivered"}
    # The last one may have been taken, and the answer lost with the service.
    assert tally.states["delivered"] - tally.accepted in (0, 1)
    assert tally.results == 2 * tally.states["delivered"]


@pytest.mark.slow
@pytest.mark.e2e
@pytest.mark.parametrize("kills", thinned([1, 3, 10], 3))
def test_kills_lose_no_report_on_what_was_refused_and_double_none(kills: int) -> None:
    tally = run(kills, seed=11, refused_every=2)
    assert tally.faults == [], tally
    assert tally.refused > 0
    assert tally.states.keys() == {"delivered", "refused"}
    assert sum(tally.states.values()) - tally.accepted in (0, 1)


@pytest.mark.slow
@pytest.mark.long
@pytest.mark.e2e
def test_kills_pauses_and_an_absent_database_lose_and_double_nothing_of_two_replicas() -> None:
    done = replicas.run(4, seed=4, replicas=2, refused_every=3)
    assert done.tally.faults == [], done
    assert done.tally.accepted > 0 and done.pauses >= 1 and done.restarts >= 1
    # Each sender's last one may have been taken, and the answer lost with the service.
    assert done.tally.states.keys() == {"delivered", "refused"}
    assert sum(done.tally.states.values()) - done.tally.accepted in (0, 1, 2)


def result(uid: str, source: str, modality: str, label: str = "") -> bytes:
    """Return a file that refers to a source as results do."""
    reference = Dataset()
    reference.ReferencedSOPInstanceUID = source
    return mammogram(
        SOPInstanceUID=uid,
        Modality=modality,
        SeriesDescription=label,
        SourceImageSequence=[reference],
    )


@pytest.mark.integration
def test_the_judge_sees_what_is_lost_doubled_or_changed() -> None:
    pacs = StowServer()
    for uid, source, modality in (
        ("2.25.1", "1.1", "SEG"),
        ("2.25.2", "1.1", "SR"),
        ("2.25.3", "1.2", "SEG"),
        ("2.25.4", "1.3", "SEG"),
        ("2.25.5", "1.3", "SR"),
        ("2.25.6", "1.3", "SR"),
    ):
        pacs.received[uid].append(result(uid, source, modality))
    pacs.received["2.25.1"].append(result("2.25.1", "1.1", "SEG"))
    assert judge(["1.1"], pacs.received) == ([], 6, 1)
    faults, _, _ = judge(["1.1", "1.2", "1.3", "1.4"], pacs.received)
    assert [fault.split()[0] for fault in faults] == ["1.2", "1.3", "1.4"]
    assert len(judge(["1.1"], pacs.received, {"1.1"})[0]) == 1
    pacs.received["2.25.7"].append(result("2.25.7", "1.5", "SR"))
    assert judge(["1.5"], pacs.received, {"1.5"})[0] == []
    pacs.received["2.25.2"].append(result("2.25.2", "1.1", "SR", "another"))
    assert judge(["1.1"], pacs.received)[0] == ["2.25.2 came with 2 different contents"]
