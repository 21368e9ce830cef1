"""The clock is set back by a day while the inbox works.

`python -m tests.attack.set_clock serve ...` is the service with a clock that a file sets.
"""

import os
import sys
import time
from pathlib import Path

from tests.attack.attack import Attack, Sent
from tests.attack.target import Target, mammogram
from tests.waiting import comes_true

OFFSET = "ATTACK_CLOCK"
"""Names the file that holds the seconds by which the clock is ahead."""

DAY_S = 86_400


def _set_back(target: Target) -> Sent:
    offset = target.folder / "offset"
    offset.write_text("0")
    target.environment[OFFSET] = str(offset)
    target.kill()
    target.start(__name__)
    target.destination.reply = lambda uid, times: (503, b"")
    sent = 0
    for number in (1, 2):
        sent += len(mammogram(number))
        target.store(mammogram(number))
        tried = comes_true(lambda: bool(target.destination.received), 30)
        # Replaced, as it is read again and again.
        (target.folder / "new").write_text(str(-DAY_S))
        os.replace(target.folder / "new", offset)
    target.destination.received.clear()
    target.destination.reply = Target.accepted
    faults = () if tried else ("the first image was never delivered",)
    return Sent(2, sent, faults + target.missing_results(2))


def _serve() -> None:
    real, offset = time.time, Path(os.environ[OFFSET])
    time.time = lambda: real() + float(offset.read_text())
    from service.cli import main

    main()


ATTACKS = (Attack("clock-set-back", "a day back between two mammograms", _set_back, alone=True),)

if __name__ == "__main__":
    sys.argv[0] = "mammoseg"
    _serve()
