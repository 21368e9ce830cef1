"""Readers of a pool as processes of this one, and what they are given to read."""

import cv2
import numpy as np
import psutil

from service.imaging.reader import ReadLimits
from tests.hostile_reader import __file__ as HOSTILE

LIMITS = ReadLimits()


def small_png(value: int = 100) -> bytes:
    pixels = np.zeros((64, 48), np.uint16)
    pixels[10:40, 5:30] = value * 200
    return bytes(cv2.imencode(".png", pixels)[1])


OTHERS: list[int] = []
"""Readers of other tests, which wait for the next of theirs."""


def worker_pids() -> list[int]:
    children = psutil.Process().children()
    names = {"service.reading.worker", HOSTILE}
    pids = [child.pid for child in children if names & set(child.cmdline())]
    return [pid for pid in pids if pid not in OTHERS]
