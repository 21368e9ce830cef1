"""The command that attacks the service says which walls held."""

import sys

import pytest

from tests.attack import __main__ as command
from tests.attack.attack import Attack, Sent
from tests.attack.measure import Row

pytestmark = pytest.mark.e2e


@pytest.mark.long
def test_an_attack_is_made_and_told(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["attack", "--only", "long-length"])
    assert command.main() == 0
    *_, last = capsys.readouterr().out.splitlines()
    assert last.startswith("| long-length |") and last.endswith("| held |")


def test_a_wall_that_fell_ends_with_1(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    attack = Attack("a", "b", lambda target: Sent(0, 0))
    fell = Row(attack, Sent(0, 0), 1, 2000, 1024, 0, "0.1", ("2000 MiB of 1024",))
    monkeypatch.setattr(sys, "argv", ["attack"])
    monkeypatch.setattr(command, "rows", lambda attacks: iter([fell]))
    assert command.main() == 1
    assert "| 2000 MiB of 1024 |" in capsys.readouterr().out
