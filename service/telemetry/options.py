"""What the operator wants to be told of the service's work."""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class TelemetryOptions:
    """What the operator wants to be told.

    Attributes
    ----------
    units
        Mammography units that metrics are kept apart for beside the known ones, each
        `manufacturer/model`.
    inference_log
        Where a line an inference goes: "off", "log", or a file.
    secret_file
        Holds the site's secret for pseudonyms; None for no pseudonyms.
    trace_endpoint, trace_share
        As of `open_tracing`.
    """

    units: tuple[str, ...] = ()
    inference_log: Path | str = "off"
    secret_file: Path | None = None
    trace_endpoint: str | None = None
    trace_share: float = 1.0
