"""Orthanc's REST API, as much of it as following its changes takes.

Orthanc's own identifiers are hashes of a resource's UIDs; they, and no UID, appear in our logs.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import httpx

from service.integration.remote import Denied, Refused, Unavailable, ask

PAGE = 100
"""Changes asked for at once; Orthanc gives no more."""


@dataclass(frozen=True, slots=True)
class Change:
    """One line of Orthanc's log of changes.

    Attributes
    ----------
    number
        It grows with every change.
    instance
        Orthanc's identifier of a new instance; None for any other change.
    what
        What tells it from the change that has this number in another log.
    """

    number: int
    instance: str | None
    what: str


@dataclass(frozen=True, slots=True)
class Page:
    """Some changes in their order; `is_last` when there are no more by now."""

    changes: Sequence[Change]
    is_last: bool


class Orthanc:
    """A server.

    All but `is_up` raise `Unavailable` where it cannot be reached, `Denied` where it wants other
    credentials.
    """

    def __init__(self, client: httpx.Client) -> None:
        self._client = client

    def is_up(self) -> bool:
        """Say whether it answers now."""
        try:
            ask(self._client, "GET", "/system")
        except (Unavailable, Refused, Denied):
            return False
        return True

    def newest_change(self) -> Change:
        """Return the last change there is; where it was deleted, its number, or 0, is left."""
        try:
            page = ask(self._client, "GET", "/changes?last").json()
            changes = [_change(line) for line in page["Changes"]]
            return changes[-1] if changes else Change(int(page["Last"]), None, "")
        except (Refused, ValueError, KeyError, TypeError):
            raise self._stranger() from None

    def changes(self, since: int, limit: int = PAGE) -> Page:
        """Return the changes after number `since`."""
        parameters = {"since": since, "limit": limit}
        try:
            page = ask(self._client, "GET", "/changes", params=parameters).json()
            return Page([_change(line) for line in page["Changes"]], bool(page["Done"]))
        except (Refused, ValueError, KeyError, TypeError):
            raise self._stranger() from None

    def change(self, number: int) -> Change | None:
        """Return one change; None where there is none: with a resource, its changes are deleted."""
        found = self.changes(number - 1, 1).changes
        return found[0] if found and found[0].number == number else None

    def _stranger(self) -> Denied:
        return Denied(f"{self._client.base_url} is no Orthanc")

    def series_of(self, instance: str) -> dict[str, str]:
        """Return the main tags of an instance's series by keyword; raises Refused if it is gone."""
        series = ask(self._client, "GET", f"/instances/{instance}/series").json()
        tags: dict[str, str] = series["MainDicomTags"]
        return tags

    def file(self, instance: str) -> bytes:
        """Return an instance's DICOM file as it was stored; raises Refused if it is gone."""
        return ask(self._client, "GET", f"/instances/{instance}/file").content

    def find(self, sop_instance_uid: str) -> str | None:
        """Return the identifier of an instance; None where it is not there."""
        found = ask(self._client, "POST", "/tools/lookup", content=sop_instance_uid).json()
        return next((match["ID"] for match in found if match["Type"] == "Instance"), None)

    def received(self, instance: str) -> str:
        """Return when an instance was stored, to the second, as text that sorts; "" if unknown."""
        try:
            return ask(self._client, "GET", f"/instances/{instance}/metadata/ReceptionDate").text
        except Refused:
            return ""

    def store(self, file: bytes) -> None:
        """Store a file; one that is there already stays as it is."""
        ask(self._client, "POST", "/instances", content=file)


def _change(line: dict[str, Any]) -> Change:
    kind, resource = line["ChangeType"], line["ID"]
    what = f"{kind} {resource} {line.get('Date')}"
    return Change(line["Seq"], resource if kind == "NewInstance" else None, what)
