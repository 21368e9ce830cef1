from typing import Any

import pytest

from service.capacity.plan import (
    MIN_PIXELS_MIB,
    MIN_READER_MIB,
    READER_MIB,
    RUNNER_MIB,
    SERVICE_MIB,
    MemoryPlan,
)

pytestmark = pytest.mark.unit

FULL_SIZE = 4096 * 3328


def plan(memory_mib: int, **changes: int | None) -> MemoryPlan:
    given: dict[str, Any] = {"runners": 2, "cores": 2, "max_body_mib": 128}
    return MemoryPlan.of(memory_mib, **given | changes)


def taken(made: MemoryPlan, runners: int) -> int:
    readers_mib = made.readers * (READER_MIB + made.reader_mib)
    rest_mib = SERVICE_MIB + runners * RUNNER_MIB
    return rest_mib + readers_mib + made.bodies_mib + made.pixels_mib


@pytest.mark.parametrize("memory_mib", (1024, 2048, 3000, 8192, 65536))
@pytest.mark.parametrize("cores", (1, 2, 8, 64))
def test_a_plan_takes_what_there_is_and_no_more(memory_mib: int, cores: int) -> None:
    runners = min(cores, memory_mib // 288)
    made = plan(memory_mib, cores=cores, runners=runners)
    assert taken(made, runners) == memory_mib
    assert 1 <= made.readers <= cores
    assert made.reader_mib >= MIN_READER_MIB
    assert made.bodies_mib >= 128 and made.pixels_mib >= MIN_PIXELS_MIB


def test_two_gib_on_two_cores_hold_full_size_mammograms() -> None:
    made = plan(2048)
    assert made.readers == 2
    # Uncompressed, and in JPEG 2000, which takes most.
    assert made.reader_mib << 20 >= 2 * FULL_SIZE + 8 * FULL_SIZE
    assert made.pixels_mib << 20 >= 2 * 12 * FULL_SIZE


def test_more_memory_makes_more_readers() -> None:
    assert plan(2048, cores=16, runners=16).readers == 1
    assert plan(4096, cores=16, runners=16).readers > 1
    assert plan(12_000, cores=16, runners=16).readers == 16


def test_what_the_operator_sets_is_kept() -> None:
    made = plan(4096, readers=3, reader_mib=300)
    assert (made.readers, made.reader_mib) == (3, 300)
    assert taken(made, 2) == 4096


@pytest.mark.parametrize(
    ("memory_mib", "changes"),
    (
        (512, {}),
        (2048, {"readers": 8, "reader_mib": 768}),
        (2048, {"max_body_mib": 4096}),
        (2048, {"runners": 64}),
    ),
)
def test_what_cannot_be_held_is_said_with_what_would_do(
    memory_mib: int, changes: dict[str, int]
) -> None:
    with pytest.raises(ValueError, match="at least") as caught:
        plan(memory_mib, **changes)
    words = str(caught.value).split()
    enough = int(words[words.index("to") + 1])
    assert enough > memory_mib
    made = plan(enough, **changes)
    assert taken(made, changes.get("runners", 2)) == enough
