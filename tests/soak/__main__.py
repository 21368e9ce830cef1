"""`python -m tests.soak --minutes 30`: everything at once for a while, and what became of it.

Two services get mammograms of all sizes in all transfer syntaxes, rubbish, callers that leave,
callers that are slow, and instances for their inboxes. Readers of both are killed and stopped at
random; one of the services is, too, and is started again. Every answer is compared with a table
that was made before; every instance that was accepted must have one of each result at the
destination, and the right one, or a refusal in the inbox. Exits with 1 where anything was amiss.
"""

import argparse
import json
import shutil
import sys
import tempfile
import time
from pathlib import Path

from tests.identity_net import write_identity_net
from tests.soak import report, round
from tests.soak.samples import make_samples
from tests.soak.subject import adopt_orphans

SAID_S = 30.0
SHORT_MINUTES = 2.0
"""Below, large pictures and most of the corpus are left out: to make them takes a minute."""


def main() -> int:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=30.0)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--json", type=Path, metavar="FILE", help="figures, and memory over time")
    options = parser.parse_args()
    adopt_orphans()
    started = time.monotonic()
    folder = Path(tempfile.mkdtemp(prefix="soak-"))
    model = write_identity_net(folder / "identity.onnx")
    samples = make_samples(model, all_of_them=options.minutes >= SHORT_MINUTES)
    _say(f"{len(samples[0])} good samples, {len(samples[1])} refused ones")
    sides = round.run(
        folder, model, samples, seconds=options.minutes * 60, seed=options.seed, say=_Progress()
    )
    sys.stdout.write(report.table(sides))
    if options.json is not None:
        took_s = time.monotonic() - started
        of_the_run = {"minutes": options.minutes, "seed": options.seed, "seconds_in_all": took_s}
        options.json.write_text(json.dumps(report.as_json(sides, **of_the_run), indent=1))
    if any(side.soak.subject.ledger.fault_count for side in sides):
        _say(f"logs and inboxes: {folder}")
        return 1
    shutil.rmtree(folder)
    return 0


class _Progress:
    """Says how things stand, twice a minute."""

    def __init__(self) -> None:
        self._said_s = 0.0

    def __call__(self, sides: list[round.Side], seconds: float) -> None:
        if seconds - self._said_s < SAID_S:
            return
        self._said_s = seconds
        for side in sides:
            ledger, looks = side.soak.subject.ledger, side.watch.looks
            _say(
                f"{seconds:6.0f} s  {side.soak.subject.name}: {ledger.counts['right answers']} "
                f"right answers, {len(side.sender.sent.accepted)} accepted, "
                f"{len(side.destination.received)} results, "
                f"{looks[-1].tree / 2**20 if looks else 0:.0f} MiB, {ledger.fault_count} faults"
            )


def _say(text: str) -> None:
    sys.stderr.write(f"{text}\n")
    sys.stderr.flush()


if __name__ == "__main__":
    sys.exit(main())
