"""Sending spans, and saying in our own words what comes of it: OpenTelemetry's quote secrets.

With `otlp.py`, the only file that imports it; extra `otel`.
"""

import os
from collections.abc import Iterator, Mapping, Sequence

import structlog
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult
from opentelemetry.util.re import parse_env_headers

from service.logs import where

log = structlog.get_logger("mammoseg")

SEND_S = 3.0
"""Longest time to send a batch, tries included: the end of the service waits for the last one."""

PREFIX = "OTEL_EXPORTER_OTLP_"
COMPRESSIONS = frozenset(("none", "gzip", "deflate"))


class ToldExporter(SpanExporter):
    """Sends by another exporter; says when that begins to fail, and when it succeeds again.

    Parameters
    ----------
    exporter
        Sends.
    """

    def __init__(self, exporter: SpanExporter) -> None:
        self._exporter, self._lost = exporter, 0

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        """Send spans; those that cannot be sent are dropped."""
        told = {}
        try:
            result = self._exporter.export(spans)
        except Exception as error:
            result, told = SpanExportResult.FAILURE, {"error": type(error).__name__}
            told["at"] = where(error)[-1]
        if result is not SpanExportResult.SUCCESS:
            if not self._lost:
                log.warning("traces-not-sent", spans=len(spans), **told)
            self._lost += len(spans)
        elif self._lost:
            log.info("traces-sent-again", lost=self._lost)
            self._lost = 0
        return result

    def shutdown(self) -> None:
        """Stop."""
        self._exporter.shutdown()

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        """Send what waits."""
        return self._exporter.force_flush(timeout_millis)


def open_exporter(endpoint: str) -> ToldExporter:
    """Return what sends to a collector, as it and OpenTelemetry's own variables say."""
    for name in ignored_variables(os.environ):
        # Not its value: a header holds a key.
        log.warning("otlp-setting-ignored", setting=name)
    timeout_s = None if _named(os.environ, "TIMEOUT") else SEND_S
    return ToldExporter(OTLPSpanExporter(endpoint=endpoint, timeout=timeout_s))


def ignored_variables(environment: Mapping[str, str]) -> Iterator[str]:
    """Yield the names of those variables that OpenTelemetry takes nothing of, or not all."""
    for part, is_well in (
        ("HEADERS", _are_headers),
        ("TIMEOUT", _is_number),
        ("COMPRESSION", lambda text: text.lower().strip() in COMPRESSIONS),
    ):
        name = _named(environment, part)
        if name is not None and not is_well(environment[name]):
            yield name


def _named(environment: Mapping[str, str], part: str) -> str | None:
    """Return which variable counts: that of traces before that of all."""
    names = (f"{PREFIX}TRACES_{part}", f"{PREFIX}{part}")
    return next((name for name in names if environment.get(name)), None)


def _are_headers(text: str) -> bool:
    entries = [entry for entry in text.split(",") if entry.strip()]
    return all(parse_env_headers(entry, liberal=True) for entry in entries)


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
