"""POST /dicom-web/studies: instances as a PACS exports them (STOW-RS, DICOM PS3.18 10.5)."""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import replace
from typing import Annotated, Any

from fastapi import APIRouter
from fastapi import Path as InPath
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from service.api.body import STEP, UNCLAIMED, Sender, SenderBounds, body_pieces, explained
from service.api.description import BINARY, problem_responses
from service.api.gate import caller_of, requester_of
from service.api.media_types import DICOM_TYPES, GENERIC
from service.api.traced import trace_of
from service.audit.trail import AuditTrail
from service.capacity.slot import Slot
from service.dicomweb.multipart import MultipartReader, media_type_and_boundary, type_of_parts
from service.dicomweb.store_response import (
    CANNOT_UNDERSTAND,
    DICOM_JSON,
    OUT_OF_RESOURCES,
    StoreOutcome,
    response_status,
    store_response,
)
from service.dimse.store_status import PROCESSING_FAILURE
from service.errors import InvalidRequest, NoInbox, Overloaded, UnsupportedMedia
from service.imaging.elements import UID_PATTERN
from service.inbox.audited import received_events
from service.inbox.store_transaction import Received, StoreTransaction
from service.services import services
from service.settings import Settings

router = APIRouter(tags=["DICOMweb"])

MEMORY = 2 * STEP
"""What a transaction holds of its body at once: a piece, and its copy."""

PART_TYPES = DICOM_TYPES | GENERIC
_PROBLEMS = problem_responses(
    {
        400: "No multipart body, or it broke off; nothing was accepted.",
        404: "No inbox is configured here.",
        413: "The body is too large.",
        415: "Not multipart/related with parts of application/dicom.",
        503: "Full or shutting down; see Retry-After.",
    }
)
_ANSWER = {DICOM_JSON: {"schema": {"type": "object"}}}
_RESPONSES: dict[int | str, dict[str, Any]] = {
    200: {"description": "All instances were accepted.", "content": _ANSWER},
    202: {"description": "Some failed, or have warnings.", "content": _ANSWER},
    409: {"description": "All failed.", "content": _ANSWER},
    **_PROBLEMS,
}
_BODY: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "description": 'multipart/related; type="application/dicom": one DICOM file a part.',
        "content": {"multipart/related": BINARY},
    }
}


@router.post(
    "/dicom-web/studies",
    response_class=Response,
    responses=_RESPONSES,
    openapi_extra=_BODY,
    summary="Store instances (STOW-RS); results go to the configured destinations",
)
async def store(request: Request) -> Response:
    """Take instances of any study into the inbox; they are processed after the answer."""
    return await _store(request, None)


@router.post(
    "/dicom-web/studies/{study}",
    response_class=Response,
    responses=_RESPONSES,
    openapi_extra=_BODY,
    summary="Store instances of one study (STOW-RS)",
)
async def store_in_study(
    request: Request,
    study: Annotated[
        str, InPath(pattern=UID_PATTERN, max_length=64, description="Study Instance UID.")
    ],
) -> Response:
    """Take instances of one study into the inbox; those of another fail."""
    return await _store(request, study)


async def _store(request: Request, study: str | None) -> Response:
    opened = services(request)
    worker = opened.inbox_worker
    if worker is None:
        raise NoInbox(
            "inbox-not-configured", "No destination for results is configured: see docs/inbox.md."
        )
    boundary = _boundary(request.headers.get("content-type", ""))
    with (
        opened.limiter.receiving("instances", caller_of(request)) as slot,
        worker.inbox.store_transaction(study) as transaction,
    ):
        trace = trace_of(request)
        try:
            with opened.models.default.stage("receive", trace):
                outcomes = await _receive(request, opened.settings, slot, transaction, boundary)
        except Exception as error:
            failure = OUT_OF_RESOURCES if isinstance(error, Overloaded) else PROCESSING_FAILURE
            await _tell(request, opened.audit, transaction.refused(failure))
            raise
        await _tell(request, opened.audit, transaction.received)
    uids = [outcome.sop_instance_uid for outcome in outcomes if outcome.failure is None]
    worker.traces.arrived(filter(None, uids), trace.headers)
    worker.wake()
    return JSONResponse(store_response(outcomes), response_status(outcomes), media_type=DICOM_JSON)


async def _tell(request: Request, audit: AuditTrail, received: Sequence[Received]) -> None:
    """Tell the audit trail before the answer: killed in between, the sender sends again."""
    if audit.is_on:
        sender = replace(requester_of(request), is_requestor=True)
        events = received_events(sender, audit.process, received)
        await asyncio.to_thread(audit.record, events)


async def _receive(
    request: Request,
    settings: Settings,
    slot: Slot,
    transaction: StoreTransaction,
    boundary: bytes,
) -> list[StoreOutcome]:
    sink = _Instances(transaction)
    reader = MultipartReader(boundary, sink, most_parts=settings.max_study_instances)
    # Each instance has the time of one upload, and all together theirs.
    sender = Sender(
        SenderBounds(settings.upload_timeout_s, settings.upload_bytes_s, settings.study_timeout_s)
    )
    pieces = body_pieces(request, settings.max_study_mib << 20, sender)
    with explained():
        taken = 0
        async for piece in _gathered(pieces, slot):
            await asyncio.to_thread(reader.feed, piece)
            slot.release()
            if sink.taken > taken:
                taken = sink.taken
                sender.renew()
    reader.close()
    if not sink.taken:
        raise InvalidRequest("no-instances", "The body holds no instance.")
    return await asyncio.to_thread(transaction.commit)


class _Instances:
    """Writes the parts of a body into a transaction."""

    def __init__(self, transaction: StoreTransaction) -> None:
        self._transaction = transaction
        self.taken = 0

    def begin(self, headers: Mapping[str, str]) -> None:
        media_type, _ = media_type_and_boundary(headers.get("content-type", ""))
        self._transaction.begin(None if media_type in PART_TYPES else CANNOT_UNDERSTAND)

    def write(self, data: memoryview) -> None:
        self._transaction.write(data)

    def end(self) -> None:
        self._transaction.end()
        self.taken += 1


def _boundary(content_type: str) -> bytes:
    media_type, boundary = media_type_and_boundary(content_type)
    if media_type != "multipart/related" or type_of_parts(content_type) not in PART_TYPES:
        raise UnsupportedMedia(
            "media-type", 'Send multipart/related; type="application/dicom", one file a part.'
        )
    return boundary


async def _gathered(pieces: AsyncIterator[bytes], slot: Slot) -> AsyncIterator[bytes]:
    """Return larger pieces, with memory for each: it goes to another thread and back."""
    held, size = [], 0
    async for piece in pieces:
        held.append(piece)
        if size <= UNCLAIMED < size + len(piece):
            await slot.claim(MEMORY)
        size += len(piece)
        if size >= STEP:
            yield b"".join(held)
            held, size = [], 0
    yield b"".join(held)
