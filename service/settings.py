"""Every knob of the service, once: name, unit, bound, default. Each is also `MAMMOSEG_<NAME>`."""

from functools import cached_property
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import DirectoryPath, Field, FilePath, field_validator, model_validator
from pydantic_settings import NoDecode, SettingsConfigDict

from service.access.settings import AccessSettings
from service.capacity.plan import MemoryPlan
from service.cores import available_cores
from service.destinations.destination import Destination
from service.destinations.registry import AnyDestination, parse_destinations
from service.imaging.reader import ReadLimits
from service.inference.device import DeviceChoice, Gpu
from service.outputs.dicom.registry import OUTPUTS
from service.reading.options import ReaderOptions
from service.telemetry.equipment import Equipment
from service.telemetry.options import TelemetryOptions


class Settings(AccessSettings):
    """The service's configuration, from keyword arguments or the environment."""

    model_config = SettingsConfigDict(
        env_prefix="MAMMOSEG_", frozen=True, extra="forbid", hide_input_in_errors=True
    )

    port: int = Field(default=8000, ge=0, le=65535, description="TCP port; 0 takes a free one")
    device: DeviceChoice = Field(
        default="auto",
        description="auto: cuda where an NVIDIA device is visible, and then it must work; else cpu",
    )
    gpu_memory_mib: int | None = Field(
        default=None,
        ge=256,
        le=2**20,
        description="memory of the GPU that the net may compute in, MiB; all of it by default",
    )
    gpu_trials: bool = Field(
        default=True,
        description="try faster ways to run on the GPU at start; else the plainest is taken",
    )
    engine_cache: DirectoryPath | None = Field(
        default=None,
        description="folder that is there, for the engines TensorRT builds; by default they are "
        "built at each start",
    )
    model: Path | None = Field(default=None, description="ONNX file; the bundled one by default")
    runners: int = Field(
        default_factory=available_cores,
        ge=1,
        le=256,
        description="tiles run at once on a CPU, one core each; a GPU always has one owner",
    )
    max_body_mib: int = Field(default=128, ge=1, le=4096, description="largest request body, MiB")
    max_megapixels: int = Field(
        default=64, ge=1, le=1024, description="largest image, millions of pixels"
    )
    accept_modalities: Annotated[frozenset[str], NoDecode] = Field(
        default=frozenset({"MG"}),
        min_length=1,
        description="DICOM modalities accepted, separated by commas",
    )
    memory_mib: int = Field(
        default=2048,
        ge=1,
        le=2**20,
        description="memory of the service and its readers together, MiB; see "
        "service/capacity/plan.py",
    )
    readers: int | None = Field(
        default=None,
        ge=1,
        le=256,
        description="processes that read images, one each at a time; by default one a core, or as "
        "many as memory_mib holds",
    )
    reader_memory_mib: int | None = Field(
        default=None,
        ge=64,
        le=65536,
        description="memory that reading one image may take, MiB; by default a share of memory_mib",
    )
    reader_deadline_s: float = Field(
        default=10.0, gt=0, le=600, description="longest time to read one image, seconds"
    )
    max_in_flight: int = Field(
        default=32,
        ge=1,
        le=10_000,
        description="mammograms held at once; beyond it 503",
    )
    max_connections: int = Field(
        default=512,
        ge=1,
        le=65_536,
        description="HTTP connections at once; beyond, the one that waited longest for a request "
        "is closed",
    )
    header_timeout_s: float = Field(
        default=60.0, gt=0, le=3600, description="longest time for a request's header, seconds"
    )
    keep_alive_s: int = Field(
        default=75, ge=0, le=3600, description="time that an idle connection is kept, seconds"
    )
    send_timeout_s: float = Field(
        default=60.0,
        gt=0,
        le=3600,
        description="time after which a connection whose answer is not read is closed, seconds",
    )
    upload_timeout_s: float = Field(
        default=60.0, gt=0, le=3600, description="longest time to receive a body, seconds"
    )
    upload_bytes_s: float = Field(
        default=500.0,
        ge=0,
        le=10**6,
        description="least rate of a body that is received, bytes a second, over ten seconds",
    )
    study_timeout_s: float = Field(
        default=1800.0,
        gt=0,
        le=86_400,
        description="longest time to receive the body of a STOW-RS request, seconds; each instance "
        "in it has upload_timeout_s",
    )
    deadline_s: float = Field(
        default=30.0,
        gt=0,
        le=3600,
        description="longest time from the whole body to the answer, seconds; then 504",
    )
    lame_duck_s: float = Field(
        default=2.0,
        ge=0,
        le=600,
        description="after SIGTERM, time in which the service is not ready but takes what comes; "
        "longer than what routes requests to it takes to see that",
    )
    drain_s: int = Field(
        default=30, ge=0, le=3600, description="after that, time to finish what was accepted"
    )
    destinations: Annotated[tuple[AnyDestination, ...], NoDecode] = Field(
        default=(),
        description="servers that get the results of the inbox, by STOW-RS (https://host/path) or "
        "C-STORE (dicom://AE@host:port): URLs separated by commas, or a JSON list of objects, see "
        "service/destinations; none: there is no inbox",
    )
    inbox: Path = Field(
        default=Path("/var/lib/mammoseg"),
        description="folder of the inbox, on a local disk; used when there are destinations",
    )
    inbox_mib: int = Field(
        default=10_240, ge=64, le=2**24, description="disk that the inbox may take, MiB; then 503"
    )
    inbox_results: Annotated[tuple[str, ...], NoDecode] = Field(
        default=("seg", "sr"),
        min_length=1,
        description="results made of each instance, separated by commas; docs/dicom-results.md",
    )
    inbox_workers: int = Field(
        default=2, ge=1, le=256, description="instances of the inbox that are processed at once"
    )
    inbox_attempts: int = Field(
        default=8, ge=1, le=1000, description="tries to process an instance; then it is dead"
    )
    inbox_keep_days: float = Field(
        default=30.0,
        ge=0,
        le=36_500,
        description="time after which a finished instance is forgotten; until then it is not "
        "processed again when it is sent again",
    )
    inbox_keep_files: bool = Field(
        default=False,
        description="keep sources and results until then, not only until they are delivered",
    )
    delivery_attempts: int = Field(
        default=20, ge=1, le=1000, description="tries to deliver a result; then it is dead"
    )
    retry_first_s: float = Field(
        default=2.0, gt=0, le=3600, description="first wait before a further try, then doubled"
    )
    retry_longest_s: float = Field(
        default=3600.0, gt=0, le=86_400, description="longest wait before a further try, seconds"
    )
    max_study_mib: int = Field(
        default=2048, ge=1, le=2**20, description="largest body of a STOW-RS request, MiB"
    )
    max_study_instances: int = Field(
        default=1000, ge=1, le=100_000, description="most instances in a STOW-RS request"
    )
    scp_port: int = Field(
        default=11_112, ge=0, le=65535, description="TCP port of `mammoseg scp`; 0 takes a free one"
    )
    scp_ae_title: str = Field(
        default="MAMMOSEG", pattern=r"^[!-\[\]-~]{1,16}$", description="AE title of `mammoseg scp`"
    )
    scp_callers: Annotated[frozenset[str], NoDecode] = Field(
        default=frozenset(),
        description="AE titles that may call `mammoseg scp`, separated by commas; all by default",
    )
    scp_associations: int = Field(
        default=10, ge=1, le=1000, description="associations of `mammoseg scp` at once"
    )
    scp_pdu_bytes: int = Field(
        default=131_072, ge=4096, le=2**20, description="largest PDU that `mammoseg scp` asks for"
    )
    scp_tls_certificate: Path | None = Field(
        default=None,
        description="PEM file of the certificate of `mammoseg scp`, which then speaks DICOM TLS",
    )
    scp_tls_key: Path | None = Field(
        default=None, description="PEM file of its key; by default the certificate's file"
    )
    scp_tls_client_ca: Path | None = Field(
        default=None,
        description="PEM file of authorities; callers then need a certificate signed by one",
    )
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    log_format: Literal["json", "console"] = "json"
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

    @field_validator(
        "host",
        "model",
        "inbox",
        "engine_cache",
        "inference_log",
        "study_secret_file",
        "scp_tls_certificate",
        "scp_tls_key",
        "scp_tls_client_ca",
        mode="before",
    )
    @classmethod
    def _is_not_empty(cls, value: object) -> object:
        # An empty host means every address, an empty path the folder of the moment.
        if isinstance(value, str) and not value.strip():
            raise ValueError("must not be empty; leave it out for the default")
        return value

    @field_validator("accept_modalities", "scp_callers", mode="before")
    @classmethod
    def _split(cls, value: object) -> object:
        if isinstance(value, str):
            return frozenset(part.strip() for part in value.split(",") if part.strip())
        return value

    @field_validator("metrics_units", mode="before")
    @classmethod
    def _split_units(cls, value: object) -> object:
        if isinstance(value, str):
            value = tuple(part.strip() for part in value.split(",") if part.strip())
        if isinstance(value, tuple):
            Equipment.of(value)
        return value

    @field_validator("inbox_results", mode="before")
    @classmethod
    def _split_kinds(cls, value: object) -> object:
        if isinstance(value, str):
            value = tuple(part.strip() for part in value.split(",") if part.strip())
        if isinstance(value, tuple) and not set(value) <= OUTPUTS.keys():
            raise ValueError(f"must be of {', '.join(OUTPUTS)}")
        return value

    @field_validator("destinations", mode="before")
    @classmethod
    def _split_destinations(cls, value: object) -> object:
        return parse_destinations(value) if isinstance(value, str) else value

    @field_validator("destinations", "scp_callers", mode="before")
    @classmethod
    def _names_somebody(cls, value: object) -> object:
        # Validators run from the last to the first. Empty is as by default, a comma a mistake.
        if isinstance(value, str) and value.strip() and not value.strip(", \t\n"):
            raise ValueError("names nobody; leave it out for the default")
        return value

    @field_validator("destinations")
    @classmethod
    def _names_differ(cls, value: tuple[Destination, ...]) -> tuple[Destination, ...]:
        if len({destination.name for destination in value}) < len(value):
            raise ValueError("two destinations have the same name")
        return value

    @model_validator(mode="after")
    def _log_takes_inferences(self) -> Self:
        takes = self.log_format == "json" and self.log_level in ("debug", "info")
        if self.inference_log == "log" and not takes:
            raise ValueError("INFERENCE_LOG=log needs LOG_FORMAT=json and LOG_LEVEL info or debug")
        return self

    @model_validator(mode="after")
    def _scp_tls_has_a_certificate(self) -> Self:
        if self.scp_tls_certificate is None and (self.scp_tls_key or self.scp_tls_client_ca):
            raise ValueError("scp_tls_key and scp_tls_client_ca need scp_tls_certificate")
        return self

    @model_validator(mode="after")
    def _memory_suffices(self) -> Self:
        _ = self.memory
        return self

    @cached_property
    def memory(self) -> MemoryPlan:
        """How `memory_mib` is shared out. Worked out once: it asks for the quota."""
        return MemoryPlan.of(
            self.memory_mib,
            runners=self.runners,
            cores=available_cores(),
            max_body_mib=self.max_body_mib,
            readers=self.readers,
            reader_mib=self.reader_memory_mib,
        )

    def telemetry_options(self) -> TelemetryOptions:
        """Return what the operator wants to be told."""
        return TelemetryOptions(
            units=self.metrics_units,
            inference_log=self.inference_log,
            secret_file=self.study_secret_file,
            trace_endpoint=self.trace_endpoint,
            trace_share=self.trace_share,
        )

    def gpu(self) -> Gpu:
        """Return what a GPU is allowed."""
        return Gpu(self.gpu_memory_mib, self.engine_cache, self.gpu_trials)

    def reader_options(self) -> ReaderOptions:
        """Return what the processes that read images are given."""
        return ReaderOptions(
            count=self.memory.readers,
            limits=self.read_limits(),
            memory_mib=self.memory.reader_mib,
            deadline_s=self.reader_deadline_s,
            body_bytes=self.memory.bodies_mib << 20,
            pixel_bytes=self.memory.kept_pixels_mib << 20,
        )

    def read_limits(self) -> ReadLimits:
        """Return what the reader may accept."""
        return ReadLimits(
            max_pixels=self.max_megapixels * 1_000_000,
            accept_modalities=self.accept_modalities,
            memory_bytes=self.memory.reader_mib << 20,
        )
