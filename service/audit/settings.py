"""Settings of the audit trail."""

from pathlib import Path
from typing import Self

from pydantic import Field, field_validator, model_validator
from pydantic_settings import BaseSettings

from service.audit.collector import parse_address
from service.audit.options import AuditOptions
from service.tls_files import TlsFiles


class AuditSettings(BaseSettings):
    """The part of the service's configuration that says who is told who did what."""

    audit: str | None = Field(
        default=None,
        max_length=512,
        description="collector of audit messages (DICOM PS3.15 A.5): syslog-tls://host:6514; "
        "syslog-tcp:// and syslog-udp:// send them in the clear; off by default",
    )
    audit_ca: Path | None = Field(
        default=None,
        description="PEM file of the authorities to check its certificate against; the system's by "
        "default",
    )
    audit_certificate: Path | None = Field(
        default=None, description="PEM file of the certificate that we show it, where it asks"
    )
    audit_key: Path | None = Field(
        default=None, description="PEM file of its key, where that is another file"
    )
    audit_folder: Path | None = Field(
        default=None,
        description="folder in which messages wait for the collector, on a local disk; that of the "
        "inbox by default",
    )
    audit_mib: int = Field(
        default=256,
        ge=1,
        le=2**20,
        description="messages that wait at most, MiB; then they are lost",
    )
    audit_source: str | None = Field(
        default=None,
        pattern=r"^\S(.{0,62}\S)?$",
        description="name of this system in messages (AuditSourceID); the machine's by default",
    )
    audit_site: str | None = Field(
        default=None,
        pattern=r"^\S(.{0,62}\S)?$",
        description="name of the site in messages (AuditEnterpriseSiteID); none by default",
    )

    @field_validator(
        "audit", "audit_ca", "audit_certificate", "audit_key", "audit_folder", mode="before"
    )
    @classmethod
    def _audit_is_given_or_not(cls, value: object) -> object:
        if isinstance(value, str) and not value.strip():
            raise ValueError("must not be empty; leave it out for the default")
        return value

    @field_validator("audit")
    @classmethod
    def _audit_is_an_address(cls, value: str | None) -> str | None:
        if value is not None:
            parse_address(value)
        return value

    @model_validator(mode="after")
    def _audit_tls_is_whole(self) -> Self:
        if self.audit_certificate is None and self.audit_key is not None:
            raise ValueError("audit_key needs audit_certificate")
        if (self.audit_ca or self.audit_certificate) and not (
            self.audit and parse_address(self.audit).transport == "tls"
        ):
            raise ValueError("audit_ca and audit_certificate need audit=syslog-tls://...")
        return self

    def audit_options(self, inbox: Path) -> AuditOptions | None:
        """Return where the audit trail goes; None for nowhere. `inbox`: folder of the inbox."""
        if self.audit is None:
            return None
        return AuditOptions(
            collector=parse_address(self.audit),
            tls_files=TlsFiles(self.audit_certificate, self.audit_key, self.audit_ca),
            folder=self.audit_folder or inbox,
            max_bytes=self.audit_mib << 20,
            source_id=self.audit_source,
            site_id=self.audit_site,
        )
