import sys
from collections.abc import Iterator

import pytest

from service.reading.options import ReaderOptions
from service.reading.pool import ReaderPool
from tests.hostile_reader import __file__ as HOSTILE
from tests.service.reading.pools import LIMITS, OTHERS, worker_pids


@pytest.fixture
def others() -> Iterator[None]:
    """Pass over the readers that there are already."""
    OTHERS.extend(worker_pids())
    yield
    OTHERS.clear()


@pytest.fixture
def workers(others: None) -> Iterator[ReaderPool]:
    """Two readers."""
    workers = ReaderPool(ReaderOptions(2, LIMITS, 512, deadline_s=20)).wait_until_ready()
    yield workers
    workers.close()


@pytest.fixture(scope="module")
def unharmed() -> Iterator[ReaderPool]:
    """Two readers for all tests of a module which leave them as they are."""
    workers = ReaderPool(ReaderOptions(2, LIMITS, 512, deadline_s=20)).wait_until_ready()
    yield workers
    workers.close()


@pytest.fixture
def mortal(others: None) -> Iterator[ReaderPool]:
    """One reader with a decoder that faults on some bodies, as C code does."""
    options = ReaderOptions(1, LIMITS, 512, deadline_s=20)
    workers = ReaderPool(options, (sys.executable, "-I", HOSTILE)).wait_until_ready()
    yield workers
    workers.close()
