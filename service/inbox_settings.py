"""Settings of the inbox, of `mammoseg scp` that fills it, and of where its results go."""

from pathlib import Path
from typing import Annotated, Self

from pydantic import Field, SecretStr, field_validator, model_validator
from pydantic_settings import BaseSettings, NoDecode

from service.comma_list import comma_list
from service.destinations.destination import Destination
from service.destinations.registry import AnyDestination, parse_destinations
from service.dimse.ae_title import AE_TITLE, is_ae_title
from service.header_text import given
from service.outputs.forms import DICOM_OBJECTS
from service.postgres_options import PostgresOptions


class InboxSettings(BaseSettings):
    """The part of the service's configuration that says what comes from a PACS and goes to one."""

    destinations: Annotated[tuple[AnyDestination, ...], NoDecode] = Field(
        default=(),
        description="servers that get the results of the inbox, by STOW-RS (https://host/path) or "
        "C-STORE (dicom://AE@host:port): URLs separated by commas, or a JSON list of objects, see "
        "service/destinations; none: there is no inbox",
    )
    inbox: Path = Field(
        default=Path("/var/lib/mammoseg"),
        description="folder of the inbox, on a local disk, or on a shared one where inbox_database "
        "is set; used when there are destinations",
    )
    inbox_database: SecretStr | None = Field(
        default=None,
        description="postgresql://user@host/database, for several replicas on one inbox; by "
        "default a file in the folder of the inbox, for one",
    )
    inbox_database_password_file: Path | None = Field(
        default=None, description="file that holds the password of inbox_database, and no more"
    )
    inbox_lease_s: float = Field(
        default=30.0,
        ge=3,
        le=3600,
        description="time after which others take what a replica that says nothing worked on, "
        "seconds",
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
    inbox_report_not_run: bool = Field(
        default=True,
        description="tell a study, by a report among the results, that an image was refused or "
        "given up, so that silence is not taken for no findings",
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
        default="MAMMOSEG", pattern=AE_TITLE, description="AE title of `mammoseg scp`"
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

    @field_validator("scp_callers", mode="before")
    @classmethod
    def _split_callers(cls, value: object) -> object:
        if isinstance(value, str):
            return frozenset(comma_list(value))
        return value

    @field_validator("scp_callers")
    @classmethod
    def _may_call(cls, value: frozenset[str]) -> frozenset[str]:
        if not all(map(is_ae_title, value)):
            # It would let in nobody.
            raise ValueError("an AE title has 1 to 16 characters, none of them a backslash")
        return value

    @field_validator("inbox_results", mode="before")
    @classmethod
    def _split_kinds(cls, value: object) -> object:
        if isinstance(value, str):
            value = comma_list(value)
        if isinstance(value, tuple) and not set(value) <= set(DICOM_OBJECTS):
            raise ValueError(f"must be of {', '.join(DICOM_OBJECTS)}")
        return value

    @field_validator("destinations", mode="before")
    @classmethod
    def _split_destinations(cls, value: object) -> object:
        return parse_destinations(value) if isinstance(value, str) else value

    @field_validator("scp_callers", mode="before")
    @classmethod
    def _names_callers(cls, value: object) -> object:
        # Of a list that was meant to be there, the empty text must not let everybody in.
        if isinstance(value, str) and not value.strip(", \t\n"):
            raise ValueError("must not be empty; leave it out to let everybody in")
        return value

    @field_validator("destinations", mode="before")
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
    def _database_can_be_reached(self) -> Self:
        self.postgres_options()
        return self

    def postgres_options(self) -> PostgresOptions | None:
        """Return how the inbox's database is reached; None where it is a file in its folder."""
        file, password = self.inbox_database_password_file, None
        if self.inbox_database is None:
            if file is not None:
                raise ValueError("inbox_database_password_file needs inbox_database")
            return None
        if file is not None:
            try:
                password = given(file.read_text("utf-8"))
            except (OSError, UnicodeDecodeError):
                raise ValueError("inbox_database_password_file cannot be read") from None
        try:
            return PostgresOptions.parse(self.inbox_database.get_secret_value(), password)
        except ValueError as error:
            raise ValueError(f"inbox_database {error}") from None

    @model_validator(mode="after")
    def _scp_tls_has_a_certificate(self) -> Self:
        if self.scp_tls_certificate is None and (self.scp_tls_key or self.scp_tls_client_ca):
            raise ValueError("scp_tls_key and scp_tls_client_ca need scp_tls_certificate")
        return self
