"""Every knob of the service, once: name, unit, bound, default. Each is also `MAMMOSEG_<NAME>`."""

from functools import cached_property
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import DirectoryPath, Field, field_validator, model_validator
from pydantic_settings import NoDecode, SettingsConfigDict

from service.access.settings import AccessSettings
from service.audit.settings import AuditSettings
from service.capacity.plan import MemoryPlan
from service.comma_list import comma_list
from service.header_text import given
from service.imaging.limits import ReadLimits
from service.imaging.modality import check_modalities
from service.inbox_settings import InboxSettings
from service.inference.device import DeviceChoice, Gpu
from service.reading.options import ReaderOptions
from service.serving.settings import ServingSettings
from service.system.cores import available_cores
from service.system.private_files import is_open_to_others
from service.telemetry.settings import TelemetrySettings


class Settings(AccessSettings, AuditSettings, InboxSettings, ServingSettings, TelemetrySettings):
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
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    log_format: Literal["json", "console"] = "json"

    @field_validator(
        "host",
        "model",
        "inbox",
        "inbox_database_password_file",
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

    @field_validator("*", mode="before")
    @classmethod
    def _is_without_white_space_around(cls, value: object) -> object:
        # A line's end comes with what is read from a file into a variable.
        return given(value) if isinstance(value, str) else value

    @field_validator("engine_cache")
    @classmethod
    def _engines_are_our_own(cls, value: Path | None) -> Path | None:
        # An engine is code: whoever may write one has it run by the service.
        if value is not None and is_open_to_others(value, 0o222):
            raise ValueError("must be a folder that nobody else may write: chmod go-w")
        return value

    @field_validator("accept_modalities", mode="before")
    @classmethod
    def _split(cls, value: object) -> object:
        if isinstance(value, str):
            return frozenset(comma_list(value))
        return value

    @field_validator("accept_modalities")
    @classmethod
    def _are_modalities(cls, value: frozenset[str]) -> frozenset[str]:
        check_modalities(sorted(value))
        return value

    @model_validator(mode="after")
    def _log_takes_inferences(self) -> Self:
        takes = self.log_format == "json" and self.log_level in ("debug", "info")
        if self.inference_log == "log" and not takes:
            raise ValueError("INFERENCE_LOG=log needs LOG_FORMAT=json and LOG_LEVEL info or debug")
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
            models=len(self.model_paths),
            shadow=self.shadow is not None,
        )

    def of_share(self, cpus: int, gpus: float) -> Self:
        """Return these settings for a process that has a share of its machine, as a Ray worker.

        `device=auto` is a GPU where the share has some of one; Ray hides the others.
        """
        given = self.model_dump()
        given |= {"runners": cpus, "readers": self.readers or cpus}
        if self.device == "auto":
            given["device"] = "cuda" if gpus else "cpu"
        return type(self)(**given)

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
