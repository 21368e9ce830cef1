"""The soak in short, and that it sees what it is to see."""

import json
import random
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest
from pydicom.dataset import Dataset

from service.inbox.inbox import Inbox
from service.settings import Settings
from tests.soak import senders
from tests.soak.callers import Soak, ask_for_good, compare
from tests.soak.samples import Sample, mask_of_runs, uid_of
from tests.soak.senders import DELIVERED, REFUSED, Sent
from tests.soak.subject import ASKED, KILLED, Interruption, Subject
from tests.soak.watch import MIB, Look, Watch
from tests.soak.wire import Answer, Caller
from tests.stow_server import StowServer

pytestmark = pytest.mark.e2e

RUNS = [20, 5, 75]
OWN = Sample(name="own", body=b"", right=frozenset({(0.9, mask_of_runs((10, 10), RUNS))}))


@pytest.mark.slow
@pytest.mark.long
def test_half_a_minute_of_everything_at_once(tmp_path: Path) -> None:
    figures = tmp_path / "soak.json"
    command = [sys.executable, "-m", "tests.soak", "--minutes", "0.5", "--json", str(figures)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=1500)
    assert done.returncode == 0, done.stdout + done.stderr
    told: dict[str, Any] = json.loads(figures.read_text())
    steady, killed = told["steady"]["figures"], told["killed"]["figures"]
    assert steady["right answers"] > 10 and steady["accepted, delivered"] > 0
    assert steady["readers killed or stopped"] > 0 and killed["faults"] == 0


@pytest.fixture
def soak(tmp_path: Path) -> Soak:
    """Nobody is asked."""
    subject = Subject("steady", tmp_path, tmp_path / "none.onnx", "http://127.0.0.1:9")
    return Soak(subject, [OWN], [], threading.Event(), 1, 0.1)


def answered(score: float = 0.9, counts: list[int] = RUNS, number: int = 1) -> dict[str, Any]:
    return {
        "has_mask": {"score": score},
        "mask": {"size": [10, 10], "counts": counts},
        "image": {"sop_instance_uid": uid_of(number)},
    }


@pytest.mark.parametrize(
    ("result", "faults"),
    [
        (answered(), 0),
        (answered(score=0.8), 1),
        (answered(counts=[20, 6, 74]), 1),
    ],
)
def test_another_score_or_mask_is_seen(soak: Soak, result: dict[str, Any], faults: int) -> None:
    compare(soak, OWN, 1, result)
    assert soak.subject.ledger.fault_count == faults


@pytest.mark.parametrize(
    ("status", "headers", "faults"),
    [
        (200, {}, 0),
        (400, {}, 1),
        (500, {}, 2),
        (503, {"retry-after": "1"}, 0),
        (503, {}, 1),
        (504, {}, 0),
        (0, {}, 1),
    ],
)
def test_each_status_of_a_good_image_is_judged(
    soak: Soak, monkeypatch: pytest.MonkeyPatch, status: int, headers: dict[str, str], faults: int
) -> None:
    body = json.dumps(answered() | {"code": "any"}).encode()

    def ask(caller: Caller, method: str, path: str, *_: object) -> Answer:
        answer = Answer(status, headers, body, 0.0, 1.0)
        caller._count(path, answer)
        return answer

    monkeypatch.setattr(Caller, "ask", ask)
    monkeypatch.setattr("tests.soak.callers._as_mask", lambda *_: None)
    chance = random.Random(0)
    chance.choice = lambda ways: ways[0]  # type: ignore[method-assign,assignment]
    monkeypatch.setattr("tests.soak.callers.chosen", lambda *_: OWN)
    ask_for_good(soak, chance, Caller(soak.subject))
    assert soak.subject.ledger.fault_count == faults


def test_only_our_own_doing_excuses_an_answer_that_broke_off(soak: Soak) -> None:
    subject = soak.subject
    subject.interruptions += [Interruption(KILLED, 10, 20), Interruption(ASKED, 30, 40)]
    assert subject.excuse(9, 11) and subject.excuse(15, 16) and subject.excuse(19, 25)
    assert subject.excuse(31, 32)
    # Who asked before SIGTERM is answered; and nothing excuses what is in between.
    assert not subject.excuse(29, 31) and not subject.excuse(21, 29)


@pytest.mark.parametrize(("grown", "faults"), [(0, 0), (5, 0), (100, 2)])
def test_memory_that_grows_is_seen(soak: Soak, grown: int, faults: int) -> None:
    watch, chance = Watch(soak.subject, threading.Event(), 1.0), random.Random(1)
    for at in range(100):
        bytes_ = int((300 + chance.uniform(-30, 30) + grown * at / 80) * MIB)
        watch.looks.append(Look(at, bytes_, bytes_ + MIB, 3, 20, 10))
    watch.judge(None, None)
    assert soak.subject.ledger.fault_count == faults


def test_descriptors_and_processes_that_stay_are_seen(soak: Soak) -> None:
    watch = Watch(soak.subject, threading.Event(), 1.0)
    watch.looks = [Look(0, 1, 1, 3, 20, 10)]
    watch.judge(Look(0, 1, 1, 3, 20, 10), Look(9, 1, 1, 4, 40, 10))
    assert soak.subject.ledger.fault_count == 2


def result(source: int, modality: str, again: int = 0) -> bytes:
    """Return a result that refers to a source."""
    from tests.service.inbox.conftest import mammogram

    reference = Dataset()
    reference.ReferencedSOPInstanceUID = uid_of(source)
    return mammogram(
        SOPInstanceUID=f"1.2.{source}.{again}.{modality == 'SR':d}",
        Modality=modality,
        SourceImageSequence=[reference],
    )


def test_what_is_lost_doubled_or_made_for_nothing_is_seen(
    soak: Soak, monkeypatch: pytest.MonkeyPatch
) -> None:
    Inbox(Settings(inbox=soak.subject.inbox, destinations=("http://127.0.0.1:9",))).close()
    masks = {1: OWN, 2: OWN, 3: OWN}
    sent = Sent({uid_of(number): (DELIVERED, sample) for number, sample in masks.items()})
    sent.accepted[uid_of(4)] = REFUSED, None
    ended = dict.fromkeys(sent.accepted, DELIVERED) | {uid_of(4): REFUSED}
    monkeypatch.setattr(senders, "states", lambda _: ended)
    monkeypatch.setattr(senders, "mask_of_seg", lambda _: next(iter(OWN.right))[1])
    pacs = StowServer()
    for number in (1, 2, 3):
        for modality in ("SEG", "SR"):
            pacs.received[f"{number} {modality}"].append(result(number, modality))
    pacs.received["4 SR"].append(result(4, "SR"))
    senders.judge(soak, sent, pacs)
    assert soak.subject.ledger.faults == []
    del pacs.received["1 SEG"]
    pacs.received["2 SEG again"].append(result(2, "SEG", again=1))
    pacs.received["4 SEG"].append(result(4, "SEG"))
    pacs.received["5 SR"].append(result(5, "SR"))
    ended[uid_of(3)] = ("dead", "internal")
    senders.judge(soak, sent, pacs)
    assert soak.subject.ledger.fault_count == 5, soak.subject.ledger.faults
    monkeypatch.setattr(senders, "mask_of_seg", lambda _: "another")
    soak.subject.ledger.faults.clear()
    senders.judge(soak, Sent({uid_of(3): (DELIVERED, OWN)}), pacs)
    assert "own: another mask was delivered" in soak.subject.ledger.faults
