"""Where results are delivered, as configured."""

import json
from pathlib import Path
from typing import Self
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, SecretStr, model_validator


class Destination(BaseModel):
    """A DICOMweb server that takes results by STOW-RS (PS3.18, 10.5).

    Attributes
    ----------
    url
        Root of its DICOMweb services; results go to `<url>/studies`.
    name
        What it is called in logs, metrics and the database: host and path of the URL unless given.
        Under another name it is another destination.
    token
        Bearer token (RFC 6750).
    username, password
        Basic authentication (RFC 7617).
    verify
        Check its TLS certificate.
    ca
        PEM file of the authorities to check it against; the system's by default.
    timeout_s
        Longest wait for it to connect, to take a piece, and to answer, each, in seconds.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    url: str = Field(pattern=r"^https?://[^\s/?#]+(/[^\s?#]*)?$")
    name: str = Field(default="", max_length=128, pattern=r"^[!-~]*$")
    token: SecretStr | None = None
    username: str | None = None
    password: SecretStr | None = None
    verify: bool = True
    ca: Path | None = None
    timeout_s: float = Field(default=60.0, gt=0, le=3600)

    @model_validator(mode="before")
    @classmethod
    def _named(cls, given: object) -> object:
        if isinstance(given, str):
            given = {"url": given}
        if isinstance(given, dict) and not given.get("name"):
            parts = urlsplit(str(given.get("url", "")))
            given = given | {"name": f"{parts.netloc}{parts.path}".rstrip("/")}
        return given

    @model_validator(mode="after")
    def _credentials_apart(self) -> Self:
        if "@" in urlsplit(self.url).netloc:
            raise ValueError("credentials belong in username and password, not in the url")
        if self.token is not None and self.username is not None:
            raise ValueError("either a token or a username")
        if (self.username is None) != (self.password is None):
            raise ValueError("username and password go together")
        return self

    @property
    def studies_url(self) -> str:
        """Where STOW-RS requests go."""
        return f"{self.url.rstrip('/')}/studies"


def parse_destinations(text: str) -> object:
    """Split the text of a setting: URLs separated by commas, or a JSON list of objects.

    Raises
    ------
    ValueError
        It begins as a list and is no JSON.
    """
    if not text.lstrip().startswith("["):
        return tuple(part.strip() for part in text.split(",") if part.strip())
    try:
        return json.loads(text)
    except ValueError:
        # Not its text: there are secrets in it.
        raise ValueError("is no valid JSON") from None
