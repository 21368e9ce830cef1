import multiprocessing
import time

import pytest
from torch.utils.data import Dataset

from model_export.sampling.batches import Batch
from model_export.training.stopping import EpochLoader

pytestmark = pytest.mark.integration

STEPS = 40


class _Slow(Dataset[Batch]):
    """More batches than a worker makes ahead; each is its own number."""

    def __len__(self) -> int:
        return STEPS

    def __getitem__(self, index: int) -> Batch:
        time.sleep(0.01)
        return index  # type: ignore[return-value]


def test_a_worker_that_gets_sigterm_too_still_gives_its_batches() -> None:
    """A service manager, or a cluster, tells all processes of a run at once."""
    batches = iter(EpochLoader(_Slow(), lambda: 0, workers=1))
    seen = [next(batches)]
    (worker,) = multiprocessing.active_children()
    worker.terminate()
    assert [*seen, *batches] == list(range(STEPS))
