"""Settings of what the operator is told: metrics, a line an inference, traces."""

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, FilePath, field_validator
from pydantic_settings import BaseSettings, NoDecode

from service.comma_list import comma_list
from service.telemetry.equipment import Equipment
from service.telemetry.options import TelemetryOptions


class TelemetrySettings(BaseSettings):
    """The part of the service's configuration that says what is watched, and where it goes."""

    inference_log: Literal["off", "log"] | Path = Field(
        default="off",
        description="where one JSON line an inference goes: off, log, or a file; docs/metrics.md",
    )
    study_secret_file: FilePath | None = Field(
        default=None,
        description="file with the site's secret, 16 bytes or more, that lines name studies by",
    )
    metrics_units: Annotated[tuple[str, ...], NoDecode] = Field(
        default=(),
        description="mammography units that metrics are kept apart for beside known ones, as "
        "manufacturer/model, separated by commas",
    )
    trace_endpoint: str | None = Field(
        default=None,
        pattern=r"^https?://[^\s/?#@]+/[^\s?#]*$",
        description="URL that takes OpenTelemetry traces by OTLP over HTTP, with its path, as "
        "http://collector:4318/v1/traces; needs the extra otel; off by default",
    )
    trace_share: float = Field(
        default=1.0, ge=0, le=1, description="share of traces begun here that are recorded"
    )

    @field_validator("metrics_units", mode="before")
    @classmethod
    def _split_units(cls, value: object) -> object:
        if isinstance(value, str):
            value = comma_list(value)
        if isinstance(value, tuple):
            Equipment.of(value)
        return value

    def telemetry_options(self) -> TelemetryOptions:
        """Return what the operator wants to be told."""
        return TelemetryOptions(
            units=self.metrics_units,
            inference_log=self.inference_log,
            secret_file=self.study_secret_file,
            trace_endpoint=self.trace_endpoint,
            trace_share=self.trace_share,
        )
