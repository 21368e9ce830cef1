"""What every destination of results has, whatever it speaks, and what its client can do."""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Protocol, Self
from urllib.parse import SplitResult, urlsplit

import structlog
from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from service.dimse.store_status import NotDelivered
from service.header_text import given as given_text
from service.logs import where
from service.tls_files import TlsFiles

log = structlog.get_logger("mammoseg")


@dataclass(frozen=True, slots=True)
class InstanceReference:
    """An object that a destination has or should have, by its SOP Class and Instance UIDs."""

    sop_class_uid: str
    sop_instance_uid: str


@dataclass(frozen=True, slots=True)
class CommitmentReport:
    """The N-EVENT-REPORT of one storage commitment (PS3.4 J.3.3).

    Attributes
    ----------
    transaction_uid
        Of the request that it answers.
    committed
        SOP Instance UIDs of what the destination will keep safe.
    failed
        Failure Reason (0008,1197) of each of the others, by SOP Instance UID.
    """

    transaction_uid: str
    committed: frozenset[str]
    failed: dict[str, int]


@dataclass(frozen=True, slots=True)
class ClientOptions:
    """What a client is told besides its destination.

    Attributes
    ----------
    ae_title
        Ours, by which we call where the destination names no other.
    syntaxes
        What is going to be sent: transfer syntax UIDs by SOP Class UID.
    report
        Takes a commitment's report, from any thread; on return it is on the disk.
    """

    ae_title: str
    syntaxes: dict[str, frozenset[str]]
    report: Callable[[CommitmentReport], object]


@contextmanager
def faults_counted(destination: str) -> Iterator[None]:
    """Make an attempt that fails of whatever a destination did to us one that failed.

    Raises
    ------
    NotDelivered
        `internal`, in place of any error that neither the destination nor a file accounts for.
    """
    try:
        yield
    except (NotDelivered, OSError):
        raise
    except Exception as error:
        # Its text may quote what was sent.
        fault = type(error).__name__
        log.error("destination-fault", destination=destination, error=fault, at=where(error))
        raise NotDelivered("internal") from None


class Client(Protocol):
    """Sends results to one destination, one after another; an asynchronous context."""

    async def __aenter__(self) -> Self: ...

    async def __aexit__(self, *_: object) -> None: ...

    async def store(self, file: Path, more: Mapping[str, str] | None = None) -> int | None:
        """Send a file; on return the destination has said that it has it.

        Cancelled, it lets go of the destination at once.

        Parameters
        ----------
        file
            A DICOM file.
        more
            Headers that carry a trace on, where the protocol has any.

        Returns
        -------
        int or None
            The status, if it is a warning.

        Raises
        ------
        NotDelivered
            It has not, or the answer got lost.
        OSError
            The file cannot be read.
        """
        ...

    async def rest(self) -> None:
        """Let go, after a while, of what is held for the next object: nothing is due."""
        ...


class CommittingClient(Client, Protocol):
    """The client of a destination that is asked to commit itself to what it has taken."""

    async def request_commitment(
        self, transaction_uid: str, instances: Sequence[InstanceReference]
    ) -> None:
        """Ask; on return the destination has said that it will answer, by `ClientOptions.report`.

        Raises
        ------
        NotDelivered
            It has not said so.
        """
        ...


class Destination(BaseModel):
    """Settings that every destination has.

    Attributes
    ----------
    url
        Its address; the scheme says of which kind it is.
    name
        What it is called in logs, metrics and the database: host and path of the URL unless given.
        Under another name it is another destination.
    timeout_s
        Longest wait for it to connect, to take a piece, and to answer, each, in seconds.
    verify
        Check its TLS certificate.
    verify_host
        Check that the certificate names the host of the URL, too.
    ca
        PEM file of the authorities to check it against; the system's by default.
    certificate, key
        PEM files of what we show, where it asks for a client's certificate (mutual TLS).
    """

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    schemes: ClassVar[tuple[str, ...]]
    secure_schemes: ClassVar[Collection[str]]

    url: str
    name: str = Field(default="", max_length=128, pattern=r"^[!-~]*$")
    timeout_s: float = Field(default=60.0, gt=0, le=3600)
    verify: bool = True
    verify_host: bool = True
    ca: Path | None = None
    certificate: Path | None = None
    key: Path | None = None

    @model_validator(mode="before")
    @classmethod
    def _named(cls, given: object) -> object:
        if isinstance(given, str):
            given = {"url": given}
        if isinstance(given, dict) and not given.get("name"):
            parts = urlsplit(str(given.get("url", "")))
            given = given | {"name": f"{parts.netloc}{parts.path}".rstrip("/")}
        return given

    @field_validator("*", mode="before")
    @classmethod
    def _is_without_white_space_around(cls, value: object) -> object:
        return given_text(value) if isinstance(value, str) else value

    @model_validator(mode="after")
    def _keys_and_certificates(self) -> Self:
        if self.certificate is None and self.key is not None:
            raise ValueError("a key goes with a certificate")
        if self.certificate is not None and self.address.scheme not in self.secure_schemes:
            raise ValueError(f"a certificate needs {' or '.join(self.secure_schemes)}")
        return self

    @property
    def address(self) -> SplitResult:
        """The parts of the URL."""
        return urlsplit(self.url)

    @property
    def ae_title(self) -> str | None:
        """Its AE title; None where it has none, so that its URL is its name."""
        return None

    @property
    def tls_files(self) -> TlsFiles:
        """What its connections are made with."""
        return TlsFiles(self.certificate, self.key, self.ca)

    @property
    def commitment_s(self) -> float | None:
        """How long to wait for its commitment before asking again; None where none is asked for."""
        return None

    def client(self, options: ClientOptions) -> Client:
        """Return a client of it.

        Raises
        ------
        StartupError
            Its TLS files cannot be read.
        """
        raise NotImplementedError
