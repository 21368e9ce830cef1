"""Segmenting many files: a few at once, as the memory plan allows, told of in their order."""

import os
import stat
import threading
from collections import deque
from collections.abc import Generator, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from service.backoff import Backoff
from service.batch.journal import Row
from service.batch.results import NotWritten, make_files, write_files
from service.batch.rows import row_of
from service.batch.sources import Source
from service.cancellation import CancelToken
from service.capacity.budget import PixelBudget
from service.capacity.plan import BYTES_PER_PIXEL, MemoryPlan
from service.cores import available_cores
from service.errors import (
    DeviceFailed,
    MammosegError,
    Overloaded,
    TooLarge,
    UnreadableImage,
)
from service.logs import where
from service.segmenter import Segmenter, SegmentOptions

OTHER_KINDS = frozenset(("modality-not-accepted", "no-pixel-data"))
"""Codes of what lies in a folder beside mammograms: reports, other examinations."""

ATTEMPTS = 3
"""At one file, while no reader can be had."""


class BadFile(MammosegError):
    """The system does not open a file."""


State = Literal["done", "refused", "passed-over"]


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of one file.

    Attributes
    ----------
    source
        The file.
    state
        Its results are there; it was refused; or it is of another kind and nobody named it.
    row
        Of the table and the CSV; None where it was refused.
    files
        Sizes of the result files, bytes, by name.
    told
        What the system said of the file when it was read.
    problem
        Code and detail of why it was refused.
    """

    source: Source
    state: State
    row: Row | None = None
    files: dict[str, int] = field(default_factory=dict)
    told: os.stat_result | None = None
    problem: tuple[str, str] | None = None


class Batch:
    """What is done with each file.

    Parameters
    ----------
    segmenter
        Finds the lesions; reads in processes of its own.
    options
        The caller's choices.
    formats
        Results to make; see `results.FORMATS`.
    out
        Their folder.
    memory
        The service's plan: bodies and pixels take no more.
    max_body_bytes
        Of one file.
    """

    def __init__(
        self,
        segmenter: Segmenter,
        options: SegmentOptions,
        formats: tuple[str, ...],
        out: Path,
        memory: MemoryPlan,
        max_body_bytes: int,
    ) -> None:
        self._segmenter, self._options, self._formats = segmenter, options, formats
        self._out, self._max_body_bytes = out, max_body_bytes
        self._bodies = PixelBudget(memory.bodies_mib << 20)
        self._pixels = PixelBudget(memory.pixels_mib << 20)
        # As the service has: a thread that waits for the net leaves its core to a reader's.
        self._at_once = 2 * max(available_cores(), memory.readers)
        self._tokens: set[CancelToken] = set()
        self._ended = threading.Event()
        self._backoff = Backoff(attempts=ATTEMPTS, first_s=1.0, longest_s=4.0)

    def run(self, sources: Iterable[Source]) -> Generator[Outcome]:
        """Yield what comes of each file, in their order; written files are whole by then.

        Left early, it waits for what is in work to be given up.

        Raises
        ------
        NotWritten
            Results cannot be written.
        DeviceFailed
            No further image can be segmented.
        """
        waiting: deque[Future[Outcome]] = deque()
        pool = ThreadPoolExecutor(self._at_once, thread_name_prefix="mammogram")
        try:
            for source in sources:
                waiting.append(pool.submit(self._outcome, source))
                # Twice as many as are worked on: a slow one does not hold up the rest.
                if len(waiting) >= 2 * self._at_once:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            self._ended.set()
            for token in tuple(self._tokens):
                token.cancel()
            pool.shutdown(cancel_futures=True)

    def _outcome(self, source: Source) -> Outcome:
        try:
            return self._done(source)
        except DeviceFailed:
            raise
        except MammosegError as error:
            if not source.is_named and error.code in OTHER_KINDS:
                return Outcome(source, "passed-over")
            return Outcome(source, "refused", problem=(error.code, error.detail))
        except NotWritten:
            raise
        except Exception as error:
            # Its text may quote the image.
            place = ", ".join(where(error)[-2:])
            detail = f"An error of the program, please report it: {type(error).__name__} at {place}"
            return Outcome(source, "refused", problem=("internal", detail))

    def _done(self, source: Source) -> Outcome:
        for attempt in range(1, ATTEMPTS + 1):
            try:
                return self._attempt(source)
            except DeviceFailed:
                raise
            except Overloaded:
                delay_s = self._backoff.delay_s(attempt)
                if delay_s is None:
                    raise
                # Until the end at most.
                if self._ended.wait(delay_s):
                    raise
        raise AssertionError("the last attempt returns or raises")

    def _attempt(self, source: Source) -> Outcome:
        token = CancelToken()
        self._tokens.add(token)
        if self._ended.is_set():
            token.cancel()
        try:
            with ExitStack() as held:
                return self._segmented(source, token, held)
        finally:
            self._tokens.discard(token)

    def _segmented(self, source: Source, token: CancelToken, held: ExitStack) -> Outcome:
        told = self._told_of(source.path)
        held.enter_context(self._bodies.claim(told.st_size, token))
        body = self._read(source.path)
        findings = self._segmenter.segment(
            body,
            options=self._options,
            reserve_pixels=lambda pixels: held.enter_context(
                self._pixels.claim(pixels * BYTES_PER_PIXEL, token)
            ),
            token=token,
        )
        files = make_files(source.name, self._formats, findings)
        token.raise_if_cancelled()
        write_files(self._out, files)
        sizes = {name: len(content) for name, content in files.items()}
        return Outcome(source, "done", row_of(source, findings), sizes, told)

    def _told_of(self, path: Path) -> os.stat_result:
        """Ask the system for a file's size, and refuse what is none to be read."""
        try:
            # Before it is opened: whoever opens a FIFO waits.
            told = path.stat()
        except OSError as error:
            raise _unreadable(error) from None
        if not stat.S_ISREG(told.st_mode):
            raise UnreadableImage("not-an-image", "This is no regular file.")
        if told.st_size > self._max_body_bytes:
            raise TooLarge(
                "body-too-large",
                f"The file is over the limit of {self._max_body_bytes >> 20} MiB; "
                "MAMMOSEG_MAX_BODY_MIB moves it.",
            )
        if told.st_size == 0:
            raise UnreadableImage("empty-body", "The file is empty.")
        return told

    def _read(self, path: Path) -> bytes:
        try:
            with path.open("rb") as file:
                return file.read(self._max_body_bytes)
        except OSError as error:
            raise _unreadable(error) from None


def _unreadable(error: OSError) -> BadFile:
    return BadFile("file-unreadable", f"The file cannot be opened: {error.strerror}.")
