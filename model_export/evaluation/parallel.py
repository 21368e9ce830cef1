"""A function over many items, in as many threads as there are cores."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from service.system.cores import available_cores

Given = TypeVar("Given")
Made = TypeVar("Made")


def in_parallel(
    function: Callable[[Given], Made], items: Iterable[Given], description: str
) -> Iterator[tuple[Given, Made]]:
    """Yield items with what a function makes of them, in order, with a progress bar.

    As many threads as cores; only as many items are held as are worked on.
    """
    workers = available_cores()
    waiting: deque[tuple[Given, Future[Made]]] = deque()
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
    )
    with Progress(*columns) as progress, ThreadPoolExecutor(workers) as pool:
        task = progress.add_task(description, total=None)
        for item in items:
            waiting.append((item, pool.submit(function, item)))
            if len(waiting) > workers:
                yield _next(waiting)
                progress.advance(task)
        while waiting:
            yield _next(waiting)
            progress.advance(task)
        progress.update(task, total=progress.tasks[0].completed)


def _next(waiting: deque[tuple[Given, Future[Made]]]) -> tuple[Given, Made]:
    item, future = waiting.popleft()
    return item, future.result()
