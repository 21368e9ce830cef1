"""Who sends to the inbox, and repeats what was not taken, as a PACS does."""

import random
import threading
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from io import BytesIO

from pydicom import dcmread

from service.inbox.inbox import DATABASE_FILE
from service.inbox.sqlite import SqliteDatabase
from tests.dicom_files import SOP_INSTANCE_UID
from tests.soak.callers import Soak, chosen, mask_of_seg, numbers
from tests.soak.samples import Sample, refused_by_the_inbox, set_aside_by_the_inbox, uid_of
from tests.soak.wire import Caller, RawLine, post_head
from tests.stow_server import StowServer

KINDS = {"SEG": 1, "SR": 1}
PATH = "/dicom-web/studies"
MEDIA_TYPE = 'multipart/related; type="application/dicom"; boundary=b'
REFERENCED = "00081199"
MAX_WAITING = 150
"""Results not yet delivered, beyond which nothing more is sent: the soak is to come to its end."""

DELIVERED, REFUSED, SET_ASIDE = ("delivered", None), ("refused", "intent"), (
    "set-aside",
    "modality-not-accepted",
)  # fmt: skip
RESULTS = {DELIVERED: 2, REFUSED: 1, SET_ASIDE: 0}
"""How many results arrive of an instance, by how it ends."""

REPORT = Counter({"SR": 1})
"""What arrives of an instance that was refused: that it was not analysed."""

REFUSED_FILE, ASIDE_FILE = refused_by_the_inbox(), set_aside_by_the_inbox()


@dataclass
class Sent:
    """What was sent to one inbox.

    Attributes
    ----------
    accepted
        By UID: how it must end, and the sample that it is, where it is one.
    perhaps
        The same of those whose answer nobody waited for.
    results
        How many results must arrive of what was accepted.
    """

    accepted: dict[str, tuple[tuple[str, str | None], Sample | None]] = field(default_factory=dict)
    perhaps: dict[str, Sample] = field(default_factory=dict)
    results: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def accept(self, uid: str, ends: tuple[str, str | None], sample: Sample | None = None) -> None:
        """Enter that an instance was accepted, and how it must end."""
        with self._lock:
            self.accepted[uid] = ends, sample
            self.results += RESULTS[ends]


def related(files: Sequence[bytes]) -> bytes:
    """Return files as multipart/related (RFC 2387) with the boundary `b`."""
    head = b"--b\r\nContent-Type: application/dicom\r\n\r\n"
    return b"".join(head + file + b"\r\n" for file in files) + b"--b--\r\n"


class Sender:
    """Sends to one inbox; its `step` is run again and again."""

    def __init__(self, destination: StowServer) -> None:
        self.sent, self._destination = Sent(), destination
        self._again: list[bytes] = []

    def step(self, soak: Soak, chance: random.Random, caller: Caller) -> None:
        """Send new instances, or such as were sent before, or leave."""
        if self.sent.results - len(self._destination.received) > MAX_WAITING:
            return
        kind = chance.random()
        if kind < 0.1 and self._again:
            self._until_taken(soak, [chance.choice(self._again)], caller)
            soak.subject.ledger.count("instances sent again")
        elif kind < 0.2:
            self._and_leave(soak, chance)
        elif kind < 0.3:
            file, ends = chance.choice(((REFUSED_FILE, REFUSED), (ASIDE_FILE, SET_ASIDE)))
            number = next(numbers)
            renamed = file.replace(SOP_INSTANCE_UID.encode(), uid_of(number).encode())
            if self._until_taken(soak, [renamed], caller):
                self.sent.accept(uid_of(number), ends)
        else:
            self._new(soak, chance, caller)

    def _new(self, soak: Soak, chance: random.Random, caller: Caller) -> None:
        samples = [_own(soak, chance) for _ in range(chance.choice((1, 1, 2, 3)))]
        ours = [next(numbers) for _ in samples]
        files = [one.numbered(number) for one, number in zip(samples, ours, strict=True)]
        rubbish = [chance.randbytes(500)] if chance.random() < 0.1 else []
        if self._until_taken(soak, files + rubbish, caller, len(files)):
            for sample, number in zip(samples, ours, strict=True):
                self.sent.accept(uid_of(number), DELIVERED, sample)
            self._again = [*self._again[-9:], files[0]]

    def _until_taken(
        self, soak: Soak, files: list[bytes], caller: Caller, expected: int = 1
    ) -> bool:
        body, headers = related(files), {"Content-Type": MEDIA_TYPE}
        while not soak.ended.is_set():
            answer = caller.ask("POST", PATH, body, headers)
            if answer.status in (200, 202):
                taken = len(answer.json().get(REFERENCED, {}).get("Value", ()))
                if taken != expected:
                    soak.subject.ledger.fault(f"{taken} of {expected} instances taken")
                return taken == expected
            if answer.status not in (0, 503, 504):
                soak.subject.ledger.fault(f"{PATH}: {answer.status} {answer.code}")
                return False
            soak.ended.wait(0.2)
        return False

    def _and_leave(self, soak: Soak, chance: random.Random) -> None:
        sample, number = _own(soak, chance), next(numbers)
        body = related([sample.numbered(number)])
        whole = chance.random() < 0.5
        if whole:
            self.sent.perhaps[uid_of(number)] = sample
        try:
            with RawLine(soak.subject) as line:
                # Cut before the last boundary: what is not whole is not taken.
                line.sendall(post_head(PATH, MEDIA_TYPE, len(body)))
                line.sendall(body if whole else body[: chance.randrange(len(body) - 10)])
                soak.ended.wait(chance.random() * 0.2)
        except OSError:
            pass
        soak.subject.ledger.count("senders that left")


def _own(soak: Soak, chance: random.Random) -> Sample:
    return chosen([one for one in soak.good if one.is_own and one.is_renamed], chance)


def states(soak: Soak) -> dict[str, tuple[str, str | None]]:
    """Return how each instance in the inbox ended, by its UID."""
    database = SqliteDatabase(soak.subject.inbox / DATABASE_FILE)
    try:
        rows = database.rows("SELECT sop_instance_uid, state, code FROM entry ORDER BY id")
        return {row[0]: (row[1], row[2]) for row in rows}
    finally:
        database.close()


def is_all_delivered(soak: Soak) -> bool:
    """Say whether nothing is left to do: every instance has its end, and every result arrived."""
    database = SqliteDatabase(soak.subject.inbox / DATABASE_FILE)
    try:
        left = database.rows(
            "SELECT 1 FROM entry WHERE state IN ('received', 'processed') UNION ALL "
            "SELECT 1 FROM untold UNION ALL SELECT 1 FROM delivery WHERE state != 'delivered'"
        )
        return not list(left)
    finally:
        database.close()


def judge(soak: Soak, sent: Sent, destination: StowServer) -> None:
    """Compare what was accepted with what arrived: each has one of each result, and its own."""
    ledger, ended = soak.subject.ledger, states(soak)
    results, masks = _arrived(soak, destination)
    for uid, (expected, sample) in sent.accepted.items():
        ledger.count(f"accepted, {expected[0]}")
        if ended.get(uid) != expected:
            ledger.fault(f"accepted, and is {ended.get(uid, 'lost')} in place of {expected}")
        if sample is not None:
            _judge_results(soak, sample, results[uid], masks.get(uid))
        elif results[uid] != (REPORT if expected == REFUSED else Counter()):
            ledger.fault(f"{expected}, and {dict(results[uid])} arrived")
    for uid, sample in sent.perhaps.items():
        if uid in ended:
            ledger.count("taken from senders that left")
            _judge_results(soak, sample, results[uid], masks.get(uid))
    for uid in results.keys() - sent.accepted.keys() - sent.perhaps.keys():
        ledger.fault(f"results of what nobody sent: {dict(results[uid])}")


def _judge_results(soak: Soak, sample: Sample, kinds: Counter[str], mask: str | None) -> None:
    if kinds != KINDS:
        soak.subject.ledger.fault(f"{sample.name}: accepted, and {dict(kinds)} arrived")
    elif mask is None or not sample.has_mask(mask):
        soak.subject.ledger.fault(f"{sample.name}: another mask was delivered")


def _arrived(soak: Soak, destination: StowServer) -> tuple[dict[str, Counter[str]], dict[str, str]]:
    """Return the kinds of results, and the masks, by the instance that they were made of."""
    kinds: dict[str, Counter[str]] = defaultdict(Counter)
    masks: dict[str, str] = {}
    ledger = soak.subject.ledger
    for files in destination.received.values():
        if len(set(files)) > 1:
            ledger.fault("a result came with different contents")
        ledger.count("results delivered")
        ledger.count("results sent again, byte for byte", len(files) - 1)
        result = dcmread(BytesIO(files[0]))
        sources = {
            str(element.value)
            for element in result.iterall()
            if element.keyword == "ReferencedSOPInstanceUID"
        }
        for source in sources:
            if source.startswith("2.25.1000"):
                kinds[source][result.Modality] += 1
                if result.Modality == "SEG":
                    masks[source] = mask_of_seg(files[0])
    return kinds, masks
