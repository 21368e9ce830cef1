"""What the routes work with, opened once when the service starts."""

from dataclasses import dataclass

from fastapi import FastAPI
from starlette.requests import Request

from service.audit.trail import AuditTrail
from service.capacity.limiter import RequestLimiter
from service.inbox.worker import InboxWorker
from service.metrics import Metrics
from service.segmenter import Segmenter
from service.settings import Settings
from service.telemetry.observed import ObservedSegmenter


@dataclass(frozen=True, slots=True)
class Services:
    """What the application opened; closed with it.

    Attributes
    ----------
    settings
        The service's.
    metrics
        Where the routes count.
    segmenter
        Open, its model proven on the device.
    observed
        The same, watched: what judges images for callers.
    limiter
        Bounds what is received and worked on at once.
    inbox_worker
        Works on the inbox; None where no destination for results is configured.
    model_card
        In Markdown; None where none lies beside the model file.
    audit
        Is told who did what with whose images.
    """

    settings: Settings
    metrics: Metrics
    segmenter: Segmenter
    observed: ObservedSegmenter
    limiter: RequestLimiter
    inbox_worker: InboxWorker | None
    model_card: str | None
    audit: AuditTrail


def services(request: Request) -> Services:
    """Return those of the application that a request came to."""
    opened: Services = request.app.state.services
    return opened


def services_of(app: FastAPI) -> Services | None:
    """Return an application's; None before it has started."""
    opened: Services | None = getattr(app.state, "services", None)
    return opened
