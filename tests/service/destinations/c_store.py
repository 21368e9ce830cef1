"""Results sent by C-STORE, and how an archive refuses them."""

import asyncio
from pathlib import Path
from typing import Any

import pytest

from service.destinations.destination import ClientOptions, CommitmentReport
from service.destinations.store import DicomDestination, StoreClient
from service.dimse.store_status import NotDelivered
from service.outputs.dicom.registry import OUTPUTS, syntaxes_of

UID = "1.2.3.4.1.1"
SEG = OUTPUTS["seg"].sop_class_uid
EXPLICIT, IMPLICIT = "1.2.840.10008.1.2.1", "1.2.840.10008.1.2"
JPEG_LS = "1.2.840.10008.1.2.4.80"


def options(*reports: list[CommitmentReport], **syntaxes: frozenset[str]) -> ClientOptions:
    known = syntaxes or syntaxes_of(["seg", "sr"])

    def take(report: CommitmentReport) -> None:
        for each in reports:
            each.append(report)

    return ClientOptions("MAMMOSEG", known, take)


def send(
    file: Path, url: str, *, times: int = 1, given: ClientOptions | None = None, **more: Any
) -> Any:
    async def burst() -> Any:
        destination = DicomDestination.model_validate({"url": url} | more)
        async with StoreClient(destination, given or options()) as client:
            return [await client.store(file) for _ in range(times)]

    return asyncio.run(burst())


def refusal(file: Path, url: str, **more: Any) -> NotDelivered:
    with pytest.raises(NotDelivered) as refused:
        send(file, url, **more)
    return refused.value


def dataset_of(file: bytes) -> bytes:
    return file[144 + int.from_bytes(file[140:144], "little") :]
