"""One way to open a model on a device: which providers, in which order, with which options."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import structlog

from service.errors import DeviceError
from service.inference.device import Device

log = structlog.get_logger("mammoseg")

NEAR = 1.05
"""Setups that take at most so many times the fastest one's time count as fast: then the earlier."""


@dataclass(frozen=True, slots=True)
class ProviderSetup:
    """What a session is opened with.

    Attributes
    ----------
    device
        Where every node of the graph runs.
    name
        For the log.
    providers
        ONNX Runtime's, the most wanted first, each with its options.
    graph
        Runs are captured as CUDA graphs and replayed.
    """

    device: Device
    name: str
    providers: tuple[tuple[str, dict[str, str]], ...]
    graph: bool = False


ON_CPU = ProviderSetup("cpu", "cpu", (("CPUExecutionProvider", {}),))


def choose(
    setups: Sequence[ProviderSetup], attempt: Callable[[ProviderSetup], float]
) -> ProviderSetup:
    """Return the fastest setup that is right on this machine.

    Parameters
    ----------
    setups
        The plainest first: where that fails, the device does, whatever its options.
    attempt
        Opens the model, proves it with its golden tile, and gives the seconds that a run takes.

    Raises
    ------
    DeviceError
        What `attempt` says of the first.
    """
    took: list[tuple[float, ProviderSetup]] = []
    for setup in setups:
        try:
            seconds = attempt(setup)
        except DeviceError as error:
            if not took:
                raise
            log.info("setup-refused", setup=setup.name, reason=str(error))
            continue
        log.info("setup-measured", setup=setup.name, ms=round(seconds * 1e3, 2))
        took.append((seconds, setup))
    fast = NEAR * min(seconds for seconds, _ in took)
    return next(setup for seconds, setup in took if seconds <= fast)
