"""Who sends instances to an inbox, and repeats each until it is accepted."""

import itertools
import threading
from collections import Counter

import httpx

from tests import http_client
from tests.dicom_files import dicom_file

STUDY = "1.2.826.0.1.3680043.10.1.9"


class Sender(threading.Thread):
    """Posts one instance after another, each until it is accepted.

    Of several URLs the next is tried where one does not take it.
    """

    def __init__(self, *urls: str, pause_s: float, refused_every: int = 0, series: int = 1) -> None:
        super().__init__()
        self._urls, self._pause_s, self._series = urls, pause_s, series
        self._refused_every = refused_every
        self.accepted: list[str] = []
        self.refused: set[str] = set()
        self.answers: Counter[int] = Counter()
        self.ended = threading.Event()

    def run(self) -> None:
        while not self.ended.is_set():
            number = len(self.accepted) + 1
            uid = f"{STUDY}.{self._series}.{number}"
            refused = bool(self._refused_every) and number % self._refused_every == 0
            file = dicom_file(
                NumberOfFrames="2" if refused else None,
                SOPInstanceUID=uid,
                StudyInstanceUID=STUDY,
                SeriesInstanceUID=f"{STUDY}.{self._series}",
                PatientID="kills",
            )
            if self._until_accepted(file):
                self.accepted.append(uid)
                self.refused |= {uid} if refused else set()
            self.ended.wait(self._pause_s)

    def _until_accepted(self, file: bytes) -> bool:
        body = b"--b\r\nContent-Type: application/dicom\r\n\r\n" + file + b"\r\n--b--\r\n"
        headers = {"Content-Type": 'multipart/related; type="application/dicom"; boundary=b'}
        for url in itertools.cycle(self._urls):
            if self.ended.is_set():
                break
            try:
                answer = http_client.post(url, content=body, headers=headers, timeout=30)
                self.answers[answer.status_code] += 1
                if answer.status_code == 200:
                    return True
            except httpx.HTTPError:
                pass
            self.ended.wait(0.02)
        return False
