import mmap
import os

import numpy as np
import pytest

from service.reading.shared_buffer import SharedBuffer, can_seal, map_shared

pytestmark = pytest.mark.unit


def test_what_one_end_writes_the_other_reads() -> None:
    buffer = SharedBuffer(100)
    there = map_shared(os.dup(buffer.file), buffer.size)
    there[:3] = (1, 2, 3)
    assert buffer.memory[:4] == b"\1\2\3\0"


@pytest.mark.skipif(not can_seal(), reason="no memory can be sealed here")
@pytest.mark.parametrize("size", [0, 1, 2**30])
def test_nobody_makes_it_shorter_or_longer(size: int) -> None:
    """Whoever reads beyond the end of a shortened file is ended by SIGBUS."""
    buffer = SharedBuffer(100)
    with pytest.raises(PermissionError):
        os.ftruncate(buffer.file, size)
    assert buffer.memory[0] == 0


@pytest.mark.skipif(not hasattr(mmap, "MADV_REMOVE"), reason="Linux gives back parts of files")
def test_what_is_emptied_takes_no_memory_though_it_is_mapped() -> None:
    buffer = SharedBuffer(2**20)
    there = map_shared(os.dup(buffer.file), buffer.size)
    there[:] = 1
    assert os.fstat(buffer.file).st_blocks > 0
    buffer.empty()
    assert os.fstat(buffer.file).st_blocks == 0
    np.testing.assert_array_equal(there[:10], 0)


def test_no_other_program_inherits_it() -> None:
    assert not os.get_inheritable(SharedBuffer(1).file)
