"""From the command to readiness."""

from benchmarks.figures import Figure, median
from benchmarks.plan import Plan
from benchmarks.processes import ours


def measure(plan: Plan) -> list[Figure]:
    """Start a few times; the first may still read files from the disk."""
    took = []
    for index in range(plan.rounds):
        plan.say(f"start {index + 1} of {plan.rounds}")
        with ours(plan.model) as server:
            took.append(server.ready_after_s)
    return [Figure("start to ready", median(took), "s", most=3.0, note=f"best {min(took):.2f}")]
