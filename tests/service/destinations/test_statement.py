"""What is proposed to an archive is what docs/conformance.md lists, and nothing else."""

import asyncio
from pathlib import Path

import pytest
from pydicom._uid_dict import UID_dictionary

from service.destinations.destination import ClientOptions
from service.destinations.store import DicomDestination, StoreClient
from service.outputs.dicom import not_run
from service.outputs.dicom.registry import OUTPUTS, syntaxes_of
from tests.service.inbox.conftest import mammogram
from tests.statement_page import rows
from tests.store_scp import store_scp

pytestmark = pytest.mark.integration


def test_what_is_proposed_is_what_is_listed(tmp_path: Path) -> None:
    file = tmp_path / "result.dcm"
    file.write_bytes(mammogram(SOPClassUID=OUTPUTS["seg"].sop_class_uid, Modality="SEG"))
    options = ClientOptions(
        "MAMMOSEG", syntaxes_of(OUTPUTS) | not_run.SYNTAXES, lambda report: None
    )

    async def send(url: str) -> None:
        async with StoreClient(DicomDestination(url=url, commitment=True), options) as client:
            await client.store(file)

    with store_scp() as archive:
        asyncio.run(send(archive.url()))
    heads = ("SOP class", "UID", "Transfer syntaxes of the context", "Our role")
    listed = [(uid, syntax) for _, uid, names, _ in rows(*heads) for syntax in names.split(", ")]
    proposed = [(uid, UID_dictionary[syntax][0]) for uid, syntax in archive.proposed[0]]
    assert proposed == listed
    assert len(archive.proposed) == 1
