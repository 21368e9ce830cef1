"""Small files that are large once they are taken apart, where results are made of their header."""

import functools
import struct
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from tests.attack.attack import MIB, Attack, Sent
from tests.attack.target import STUDY, Target, related
from tests.dicom_files import dicom_file

FILES = 4
ANSWER_S = 120.0
SEG = "/v1/segment?output=seg"
DEFLATED = "1.2.840.10008.1.2.1.99"
ITEM = b"\xfe\xff\x00\xe0\x00\x00\x00\x00"
END = b"\xfe\xff\xdd\xe0\x00\x00\x00\x00"
ITEMS = 290_000


def _uids(number: int) -> dict[str, Any]:
    return {
        "SOPInstanceUID": f"{STUDY}.2.{number}",
        "StudyInstanceUID": STUDY,
        "SeriesInstanceUID": f"{STUDY}.2",
        "PatientID": "attack",
    }


@functools.cache
def _deflated(number: int) -> bytes:
    """Return some 250 KiB that inflate to 250 MiB (PS3.5 A.5)."""
    return dicom_file(syntax=DEFLATED, EncapsulatedDocument=bytes(250 * MIB), **_uids(number))


@functools.cache
def _items(number: int) -> bytes:
    """Return 2.3 MB, nearly all of them empty items of one sequence."""
    file = dicom_file(**_uids(number))
    before_modality = file.index(b"\x08\x00\x60\x00CS")
    # Issuer of Accession Number Sequence (0008,0051), explicit VR: of no length, so that whoever
    # looks for its end comes by every item.
    head = struct.pack("<HH2sHL", 0x0008, 0x0051, b"SQ", 0, 0xFFFF_FFFF)
    return file[:before_modality] + head + ITEM * ITEMS + END + file[before_modality:]


def _files(make: Callable[[int], bytes]) -> list[bytes]:
    return [make(number) for number in range(FILES)]


def _study(make: Callable[[int], bytes]) -> Callable[[Target], Sent]:
    def run(target: Target) -> Sent:
        body, kind = related(tuple(_files(make)))
        status = target.post("/v1/studies", body, kind, ANSWER_S)
        return Sent(1, len(body), _faults([status]))

    return run


def _each(path: str, make: Callable[[int], bytes]) -> Callable[[Target], Sent]:
    def run(target: Target) -> Sent:
        files = _files(make)
        with ThreadPoolExecutor(FILES) as callers:
            statuses = callers.map(
                lambda f: target.post(path, f, "application/dicom", ANSWER_S), files
            )
        return Sent(FILES, sum(map(len, files)), _faults(list(statuses)))

    return run


def _stored(make: Callable[[int], bytes]) -> Callable[[Target], Sent]:
    def run(target: Target) -> Sent:
        files = _files(make)
        with ThreadPoolExecutor(FILES) as callers:
            statuses = callers.map(lambda f: target.store(f, timeout_s=ANSWER_S), files)
        return Sent(FILES, sum(map(len, files)), _faults(list(statuses)))

    return run


def _faults(statuses: list[int]) -> tuple[str, ...]:
    bad = [status for status in statuses if not status or (status >= 500 and status != 503)]
    return (f"answered {bad}",) if bad else ()


def _three(name: str, what: str, make: Callable[[int], bytes]) -> Iterator[Attack]:
    for where, how, run in (
        ("study", "as a study", _study(make)),
        ("result", "for a SEG", _each(SEG, make)),
        ("inbox", "to the inbox", _stored(make)),
    ):
        sends = f"{FILES} files {what}, {how}"
        yield Attack(f"{name}-{where}", sends, run, prepare=functools.partial(_files, make))


ATTACKS = (
    *_three("deflated", "that inflate to 250 MiB", _deflated),
    *_three("items", f"of {ITEMS:,} items", _items),
)
