"""Who asks `/v1/segment` and `/v1/studies`, and is to get the right answer or the right refusal."""

import random
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from io import BytesIO
from itertools import count
from typing import Any

import cv2
import numpy as np
from pydicom import dcmread

from tests.fuzz.havoc import havoc
from tests.soak.samples import Mask, Sample, mask_of, mask_of_runs, raster, uid_of
from tests.soak.subject import Subject
from tests.soak.wire import Answer, Caller

numbers = count(1)
"""Of instances: each is sent once."""

MIN_LOSSES = 2
"""Readers that must have been killed before a good image may be answered `decode-failed`."""


@dataclass(frozen=True)
class Soak:
    """What callers share.

    Attributes
    ----------
    subject
        Whom they ask.
    good, bad
        What they send.
    ended
        Set at the end.
    chance
        Theirs; each thread makes one of its own of it.
    pause_s
        Mean time between two requests of one caller.
    """

    subject: Subject
    good: Sequence[Sample]
    bad: Sequence[Sample]
    ended: threading.Event
    seed: int
    pause_s: float

    def run(self, name: str, step: "Callable[[Soak, random.Random, Caller], None]") -> None:
        """Do something again and again, until the end."""
        chance, caller = random.Random(f"{self.seed} {name}"), Caller(self.subject)
        try:
            while not self.ended.wait(chance.expovariate(1 / self.pause_s)):
                if self.subject.is_up:
                    step(self, chance, caller)
        except Exception as error:
            self.subject.ledger.fault(f"the soak's own {name}: {error!r}")
        finally:
            caller.leave()


def ask_for_good(soak: Soak, chance: random.Random, caller: Caller) -> None:
    """Send a good image, and compare the answer with the table."""
    sample, number = chosen(soak.good, chance), next(numbers)
    way = chance.choice((_as_json, _as_json, _as_mask, _as_form, _as_seg))
    if way is _as_seg and not sample.is_own:
        way = _as_json
    way(soak, sample, number, caller)


def chosen(samples: Sequence[Sample], chance: random.Random) -> Sample:
    """Return a sample; the larger, the rarer."""
    few = chance.sample(samples, 3)
    return min(few, key=lambda one: len(one.body)) if chance.random() < 0.8 else few[0]


def _path(sample: Sample, **query: str) -> str:
    asked = [sample.query] if sample.query else []
    asked += [f"{name}={value}" for name, value in query.items()]
    return "/v1/segment" + ("?" + "&".join(asked) if asked else "")


def _as_json(soak: Soak, sample: Sample, number: int, caller: Caller) -> None:
    headers = {"Content-Type": sample.media_type}
    answer = caller.ask("POST", _path(sample), sample.numbered(number), headers)
    if accepted(soak, sample, answer):
        compare(soak, sample, number, answer.json())


def _as_form(soak: Soak, sample: Sample, number: int, caller: Caller) -> None:
    body = form([sample.numbered(number)])
    headers = {"Content-Type": "multipart/form-data; boundary=b"}
    answer = caller.ask("POST", _path(sample), body, headers)
    if accepted(soak, sample, answer):
        compare(soak, sample, number, answer.json())


def _as_mask(soak: Soak, sample: Sample, number: int, caller: Caller) -> None:
    headers = {"Content-Type": sample.media_type}
    path = _path(sample, output="mask")
    answer = caller.ask("POST", path, sample.numbered(number), headers)
    if accepted(soak, sample, answer):
        pixels = cv2.imdecode(np.frombuffer(answer.body, np.uint8), cv2.IMREAD_GRAYSCALE)
        _compare_mask(soak, sample, mask_of(pixels > 0), "mask")


def _as_seg(soak: Soak, sample: Sample, number: int, caller: Caller) -> None:
    headers = {"Content-Type": sample.media_type}
    answer = caller.ask("POST", _path(sample, output="seg"), sample.numbered(number), headers)
    if accepted(soak, sample, answer):
        _compare_mask(soak, sample, mask_of_seg(answer.body), "seg")


def mask_of_seg(file: bytes) -> Mask:
    """Return the mask of a Segmentation, or of its data set alone."""
    pixels = dcmread(BytesIO(file), force=True).pixel_array
    return mask_of(np.asarray(pixels.any(axis=0) if pixels.ndim == 3 else pixels > 0))


def form(files: Sequence[bytes]) -> bytes:
    """Return files as multipart/form-data with the boundary `b`."""
    head = b'--b\r\nContent-Disposition: form-data; name="f"; filename="f"\r\n\r\n'
    return b"".join(head + file + b"\r\n" for file in files) + b"--b--\r\n"


def ask_for_a_study(soak: Soak, chance: random.Random, caller: Caller) -> None:
    """Send several images as a study, good and bad; each entry must be of its own image."""
    own = [sample for sample in soak.good if sample.is_own and sample.is_renamed]
    samples = [chosen(own, chance) for _ in range(chance.randint(2, 4))]
    ours = [next(numbers) for _ in samples]
    body = form([one.numbered(number) for one, number in zip(samples, ours, strict=True)])
    headers = {"Content-Type": "multipart/form-data; boundary=b"}
    answer = caller.ask("POST", "/v1/studies", body, headers)
    if answer.status != 200:
        accepted(soak, samples[0], answer)
        return
    for sample, number, entry in zip(samples, ours, answer.json()["images"], strict=True):
        if entry["result"] is not None:
            compare(soak, sample, number, entry["result"])
        else:
            _refused_in_vain(soak, sample, answer, entry["problem"]["code"])


def ask_for_bad(soak: Soak, chance: random.Random, caller: Caller) -> None:
    """Send what must be refused, in the words that it is refused with; or anything at all."""
    ledger, kind = soak.subject.ledger, chance.random()
    if kind < 0.5:
        sample = chance.choice(soak.bad)
        headers = {"Content-Type": sample.media_type}
        answer = caller.ask("POST", _path(sample), sample.body, headers)
        if answer.status not in (0, 503, 504):
            said = (answer.status, answer.code)
            if said == (sample.status, sample.code):
                ledger.count("refused as they must be")
            elif not _is_of_lost_readers(soak, answer, answer.code):
                ledger.fault(f"{sample.name}: {said}")
        return
    if kind < 0.85:
        body = havoc(chosen(soak.good, chance).body, chance)
        media_type = chance.choice(("application/dicom", "application/octet-stream", "image/png"))
    else:
        body, media_type = chance.randbytes(chance.randrange(5000)), "application/dicom"
    path = chance.choice(("/v1/segment", "/v1/segment?output=seg,sr", "/v1/studies", "/%00"))
    caller.ask("POST", path, body, {"Content-Type": media_type})
    ledger.count("rubbish sent")


def ask_for_rasters(soak: Soak, chance: random.Random, caller: Caller) -> None:
    """Look at what a page looks at, and send it a picture."""
    path = chance.choice(("/metrics", "/v1/model", "/health/live", "/", "/openapi.json"))
    answer = caller.ask("GET", path)
    if answer.status not in (0, 200, 503, 504):
        soak.subject.ledger.fault(f"{path}: {answer.status}")
    body = raster(chance.randrange(10))
    answer = caller.ask("POST", "/v1/segment?include=mask", body, {"Content-Type": "image/png"})
    if answer.status not in (0, 200, 503, 504):
        soak.subject.ledger.fault(f"a PNG: {answer.status} {answer.code}")


def accepted(soak: Soak, sample: Sample, answer: Answer) -> bool:
    """Say whether a good image was answered; a fault where it was refused for good."""
    if answer.status == 200:
        return True
    if answer.status not in (0, 503, 504):
        _refused_in_vain(soak, sample, answer, answer.code)
    return False


def _refused_in_vain(soak: Soak, sample: Sample, answer: Answer, code: str) -> None:
    if not _is_of_lost_readers(soak, answer, code):
        soak.subject.ledger.fault(f"{sample.name} refused: {answer.status} {code}")


def _is_of_lost_readers(soak: Soak, answer: Answer, code: str) -> bool:
    lost = soak.subject.losses(answer.start, answer.end)
    if code == "decode-failed" and lost >= MIN_LOSSES:
        soak.subject.ledger.count("decode-failed as two readers were killed")
        return True
    return False


def compare(soak: Soak, sample: Sample, number: int | None, result: dict[str, Any]) -> None:
    """Compare an answer's score, mask and UID with what is right for its image."""
    mask = mask_of_runs(result["mask"]["size"], result["mask"]["counts"])
    score, uid = result["has_mask"]["score"], result["image"]["sop_instance_uid"]
    if not sample.is_right(score, mask):
        soak.subject.ledger.fault(f"{sample.name}: another score or mask, {score}")
    elif number is not None and sample.is_renamed and uid != uid_of(number):
        soak.subject.ledger.fault(f"{sample.name}: another instance's answer")
    else:
        soak.subject.ledger.count("right answers")


def _compare_mask(soak: Soak, sample: Sample, mask: Mask, form: str) -> None:
    if sample.has_mask(mask):
        soak.subject.ledger.count("right answers")
    else:
        soak.subject.ledger.fault(f"{sample.name}: another mask, as {form}")
