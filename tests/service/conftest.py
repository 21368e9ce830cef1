from collections.abc import Callable, Iterator

import pytest

from service.reading.options import ReaderOptions
from service.reading.pool import ReaderPool


class KeptPool(ReaderPool):
    """Readers that services take one after another: to start them takes most of a second."""

    def close(self) -> None:
        """Leave them to the next service."""

    def end(self) -> None:
        """Stop them."""
        super().close()


@pytest.fixture(scope="module")
def kept_readers() -> Iterator[Callable[[ReaderOptions], ReaderPool]]:
    pools: dict[ReaderOptions, KeptPool] = {}

    def lent(options: ReaderOptions) -> ReaderPool:
        if options not in pools:
            pools[options] = KeptPool(options)
        return pools[options]

    yield lent
    for pool in pools.values():
        pool.end()


@pytest.fixture
def borrowed_readers(
    kept_readers: Callable[[ReaderOptions], ReaderPool], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Have what a test opens take the readers of its module, where readers are not its matter."""
    monkeypatch.setattr("service.startup.models.ReaderPool", kept_readers)
