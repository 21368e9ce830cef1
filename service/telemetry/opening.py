"""Opening what watches the segmenter, as the operator wants it."""

from dataclasses import dataclass
from pathlib import Path

from service.errors import StartupError
from service.metrics import Metrics
from service.segmenter import Segmenter
from service.system.passing import may_pass
from service.telemetry.equipment import Equipment
from service.telemetry.inference_line import MIN_SECRET_BYTES, LineWriter, Pseudonyms
from service.telemetry.inference_log import InferenceLog, open_inference_log
from service.telemetry.observed import ObservedSegmenter
from service.telemetry.options import TelemetryOptions
from service.telemetry.tracing import NoTracing, Tracing


@dataclass(frozen=True, slots=True)
class Telemetry:
    """What is opened before the first request, and closed after the last.

    Attributes
    ----------
    metrics
        The service's.
    equipment
        Which mammography units are counted apart.
    pseudonyms
        Of studies and images.
    inference_log
        None where lines go nowhere.
    tracing
        Where traces go.
    """

    metrics: Metrics
    equipment: Equipment
    pseudonyms: Pseudonyms
    inference_log: InferenceLog | None
    tracing: Tracing

    def observed(self, segmenter: Segmenter) -> ObservedSegmenter:
        """Return a segmenter that is watched."""
        lines = LineWriter(segmenter.net.model_info, self.pseudonyms)
        return ObservedSegmenter(segmenter, self.metrics, self.equipment, lines, self.inference_log)

    def close(self) -> None:
        """Send and write what is left."""
        try:
            self.tracing.close()
        finally:
            if self.inference_log is not None:
                self.inference_log.close()


def open_telemetry(options: TelemetryOptions, version: str) -> Telemetry:
    """Open what watches the service.

    Raises
    ------
    StartupError
        A file cannot be opened, the secret is too short, or OpenTelemetry is not installed.
    """
    return Telemetry(
        metrics=Metrics(),
        equipment=Equipment.of(options.units),
        pseudonyms=Pseudonyms(read_secret(options.secret_file)),
        inference_log=open_inference_log(options.inference_log),
        tracing=open_tracing(options.trace_endpoint, options.trace_share, version),
    )


def open_tracing(endpoint: str | None, share: float, version: str) -> Tracing:
    """Return where traces go.

    Parameters
    ----------
    endpoint
        URL that takes OTLP over HTTP, with its path; None for nowhere.
    share
        Of traces begun here, in [0, 1]; one that comes from elsewhere says for itself.
    version
        The service's.

    Raises
    ------
    StartupError
        The extra `otel` is not installed.
    """
    if endpoint is None:
        return NoTracing()
    from service.telemetry.otlp import open_otlp

    return open_otlp(endpoint, share, version)


def read_secret(file: Path | None) -> bytes | None:
    """Return a site's secret, without the white space around it.

    Raises
    ------
    StartupError
        It cannot be read, or is shorter than `MIN_SECRET_BYTES`.
    """
    if file is None:
        return None
    try:
        secret = file.read_bytes().strip()
    except OSError as error:
        reason = f"STUDY_SECRET_FILE cannot be read: {error.strerror}"
        raise StartupError(reason, may_pass=may_pass(error)) from None
    if len(secret) < MIN_SECRET_BYTES:
        raise StartupError(f"the secret in STUDY_SECRET_FILE has under {MIN_SECRET_BYTES} bytes")
    return secret
