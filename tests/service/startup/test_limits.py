"""What the system allows is looked at before anything is opened that dies for want of it."""

import pytest

from service.errors import StartupError
from service.settings import Settings
from service.startup.limits import check_limits, tasks_needed
from service.system.process_limits import TaskBound

pytestmark = pytest.mark.unit

WIDE = 10**6


@pytest.fixture
def settings(monkeypatch: pytest.MonkeyPatch) -> Settings:
    for module in ("startup.limits", "settings"):
        monkeypatch.setattr(f"service.{module}.available_cores", lambda: 2)
    return Settings(device="cpu", runners=2)


def test_what_was_measured_is_within_what_is_counted(settings: Settings) -> None:
    assert 20 <= tasks_needed(settings) <= 30


@pytest.mark.parametrize(("spare", "held", "passes"), [(-1, 0, False), (0, 5, True)])
def test_a_limit_of_threads_that_does_not_suffice_is_said(
    settings: Settings, spare: int, held: int, passes: bool
) -> None:
    limit = tasks_needed(settings) + spare
    with pytest.raises(StartupError, match="the container allows") as caught:
        check_limits(settings, [TaskBound("the container", limit, held)], WIDE)
    assert caught.value.may_pass is passes


def test_a_limit_of_addresses_that_does_not_suffice_is_said(settings: Settings) -> None:
    with pytest.raises(StartupError, match="ulimit -v") as caught:
        check_limits(settings, [], 1464)
    assert not caught.value.may_pass


def test_limits_that_suffice_are_passed_over(settings: Settings) -> None:
    check_limits(settings, [TaskBound("the container", tasks_needed(settings) + 9, 9)], WIDE)
