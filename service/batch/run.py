"""Segmenting many images: a few at once, as the memory plan allows, told of in their order."""

import threading
from collections import deque
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Generic, Literal, Protocol, TypeVar

from service.audit.instances import InstanceIdentity
from service.backoff import Backoff
from service.batch.bodies import SourceUnavailable
from service.batch.results import NotWritten
from service.cancellation import CancelToken
from service.capacity.budget import PixelBudget
from service.capacity.plan import BYTES_PER_PIXEL, MemoryPlan
from service.errors import DeviceFailed, MammosegError, Overloaded
from service.findings import Findings
from service.logs import where
from service.reading.identity import identities_by
from service.segmenter import Segmenter, SegmentOptions

OTHER_KINDS = frozenset(("modality-not-accepted", "no-pixel-data"))
"""Codes of what lies in a folder beside mammograms: reports, other examinations."""

ATTEMPTS = 3
"""At one image, while no reader can be had."""


class EngineFailed(Exception):
    """What segments lost the machines that it works with; the message says how."""


class Named(Protocol):
    """Says where an image is found."""

    @property
    def is_named(self) -> bool:
        """Whether the caller named it itself: whatever is wrong with it is a fault."""


class Body(Protocol):
    """The bytes of an image."""

    @property
    def size(self) -> int:
        """Length in bytes."""

    def read(self) -> bytes:
        """Return them; called once there is memory for them."""


ItemT = TypeVar("ItemT", bound=Named)
BodyT = TypeVar("BodyT", bound=Body)
Made = TypeVar("Made")

State = Literal["done", "refused", "passed-over"]


@dataclass(frozen=True, slots=True)
class ItemOutcome(Generic[ItemT, Made]):
    """What came of one image.

    Attributes
    ----------
    item
        Where it was found.
    state
        It was segmented; it was refused; or it is of another kind and nobody named it.
    made
        Of its findings; None where it was not segmented.
    problem
        Code and detail of why it was refused, or passed over.
    is_unavailable
        It was refused because its bytes could not be had.
    whose
        Of a DICOM instance that was read and not segmented, where the audit trail is told.
    """

    item: ItemT
    state: State
    made: Made | None = None
    problem: tuple[str, str] | None = None
    is_unavailable: bool = False
    whose: InstanceIdentity | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class Task(Generic[ItemT, BodyT, Made]):
    """What is done with each image.

    Attributes
    ----------
    options
        The caller's choices.
    look_at
        Finds the bytes of an item; raises a MammosegError where it has none to be read.
    make
        Makes of an item, its body, the bytes and the findings what the outcome holds.
    is_audited
        Whose an image is that is not segmented is wanted to be known.
    """

    options: SegmentOptions
    look_at: Callable[[ItemT], BodyT]
    make: Callable[[ItemT, BodyT, bytes, Findings], Made]
    is_audited: bool = False


class Batch(Generic[ItemT, BodyT, Made]):
    """Does a task with many images.

    Parameters
    ----------
    segmenter
        Finds the lesions; reads in processes of its own.
    task
        What is done with each.
    memory
        The service's plan: bodies and pixels take no more.
    cores
        That there are to work with.
    """

    def __init__(
        self,
        segmenter: Segmenter,
        task: Task[ItemT, BodyT, Made],
        memory: MemoryPlan,
        cores: int,
    ) -> None:
        self._segmenter, self._task = segmenter, task
        self._bodies = PixelBudget(memory.bodies_mib << 20)
        self._pixels = PixelBudget(memory.pixels_mib << 20)
        # As the service has: a thread that waits for the net leaves its core to a reader's.
        self._at_once = 2 * max(cores, memory.readers)
        self._tokens: set[CancelToken] = set()
        self._ended = threading.Event()
        self._backoff = Backoff(attempts=ATTEMPTS, first_s=1.0, longest_s=4.0)

    def run(self, items: Iterable[ItemT]) -> Generator[ItemOutcome[ItemT, Made]]:
        """Yield what comes of each image, in their order.

        Left early, it waits for what is in work to be given up.

        Raises
        ------
        NotWritten
            What is made cannot be written.
        DeviceFailed
            No further image can be segmented.
        """
        waiting: deque[Future[ItemOutcome[ItemT, Made]]] = deque()
        pool = ThreadPoolExecutor(self._at_once, thread_name_prefix="mammogram")
        try:
            for item in items:
                waiting.append(pool.submit(self._outcome, item))
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

    def _outcome(self, item: ItemT) -> ItemOutcome[ItemT, Made]:
        try:
            return self._done(item)
        except DeviceFailed:
            raise
        except MammosegError as error:
            return _refused(item, error)
        except NotWritten:
            raise
        except Exception as error:
            # Its text may quote the image.
            place = ", ".join(where(error)[-2:])
            detail = f"An error of the program, please report it: {type(error).__name__} at {place}"
            return ItemOutcome(item, "refused", problem=("internal", detail))

    def _done(self, item: ItemT) -> ItemOutcome[ItemT, Made]:
        for attempt in range(1, ATTEMPTS + 1):
            try:
                return self._attempt(item)
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

    def _attempt(self, item: ItemT) -> ItemOutcome[ItemT, Made]:
        token = CancelToken()
        self._tokens.add(token)
        if self._ended.is_set():
            token.cancel()
        try:
            with ExitStack() as held:
                return self._segmented(item, token, held)
        finally:
            self._tokens.discard(token)

    def _segmented(
        self, item: ItemT, token: CancelToken, held: ExitStack
    ) -> ItemOutcome[ItemT, Made]:
        body = self._task.look_at(item)
        held.enter_context(self._bodies.claim(body.size, token))
        content = body.read()
        try:
            findings = self._segmenter.segment(
                content,
                options=self._task.options,
                reserve_pixels=lambda pixels: held.enter_context(
                    self._pixels.claim(pixels * BYTES_PER_PIXEL, token)
                ),
                token=token,
            )
            token.raise_if_cancelled()
        except (DeviceFailed, Overloaded):
            raise
        except MammosegError as error:
            is_audited = self._task.is_audited
            whose = identities_by(self._segmenter.reader, [content]) if is_audited else []
            return _refused(item, error, whose[0] if whose else None)
        return ItemOutcome(item, "done", self._task.make(item, body, content, findings))


def _refused(
    item: ItemT, error: MammosegError, whose: InstanceIdentity | None = None
) -> ItemOutcome[ItemT, Made]:
    is_passed_over = not item.is_named and error.code in OTHER_KINDS
    return ItemOutcome(
        item,
        "passed-over" if is_passed_over else "refused",
        problem=(error.code, error.detail),
        is_unavailable=isinstance(error, SourceUnavailable),
        whose=whose,
    )
