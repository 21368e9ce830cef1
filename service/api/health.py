"""GET /health/live, /health/ready and /metrics: none of them ever waits for a mammogram."""

from typing import Literal

from fastapi import APIRouter
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from pydantic import BaseModel
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from service.services import services

router = APIRouter(tags=["health"])

RETRY_AFTER_S = 1
"""Seconds until whoever is told that the service is not ready may ask again."""

Status = Literal["ready", "draining", "inbox-database-away", "inbox-fails", "device-failed"]


class Live(BaseModel):
    """The process answers."""

    status: Literal["live"] = "live"


class Ready(BaseModel):
    """Whether mammograms are taken, by which model, on which device."""

    status: Status
    model: str
    version: str
    device: str


@router.get("/health/live", summary="The process answers")
async def live() -> Live:
    """Answer, always."""
    return Live()


@router.get(
    "/health/ready",
    response_model=Ready,
    responses={
        503: {
            "model": Ready,
            "description": "Shutting down, or the inbox, its database or the device failed.",
        }
    },
    summary="Mammograms are taken",
)
async def ready(request: Request) -> Response:
    """Name model, version and the device in use; 503 once the service is to end."""
    opened = services(request)
    segmenter, limiter = opened.segmenter, opened.limiter
    status: Status = "draining" if limiter.leaving or limiter.draining else "ready"
    worker = opened.inbox_worker
    if status == "ready" and worker is not None:
        if worker.inbox.is_away:
            status = "inbox-database-away"
        elif worker.is_failing:
            status = "inbox-fails"
    if opened.models.failed:
        status = "device-failed"
    body = Ready(
        status=status,
        model=segmenter.model.name,
        version=segmenter.model.version,
        device=segmenter.device,
    )
    if status == "ready":
        return JSONResponse(body.model_dump())
    return JSONResponse(body.model_dump(), 503, {"Retry-After": str(RETRY_AFTER_S)})


@router.get("/metrics", include_in_schema=False)
async def metrics(request: Request) -> Response:
    """Return the Prometheus metrics."""
    text = generate_latest(services(request).metrics.registry)
    return Response(text, media_type=CONTENT_TYPE_LATEST)
