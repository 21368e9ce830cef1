"""What the routes work with, opened once when the service starts."""

from dataclasses import dataclass

from fastapi import FastAPI
from starlette.requests import Request

from service.audit.trail import AuditTrail
from service.capacity.limiter import RequestLimiter
from service.inbox.worker import InboxWorker
from service.metrics import Metrics
from service.segmenter import Segmenter
from service.serving.reloader import Reloader
from service.serving.served_models import ServedModels
from service.serving.shadow import Shadow
from service.settings import Settings


@dataclass(frozen=True, slots=True)
class Services:
    """What the application opened; closed with it.

    Attributes
    ----------
    settings
        The service's.
    metrics
        Where the routes count.
    models
        Open, proven on the device, and watched: what judges images for callers.
    limiter
        Bounds what is received and worked on at once.
    inbox_worker
        Works on the inbox; None where no destination for results is configured.
    audit
        Is told who did what with whose images.
    shadow
        Judges a share of the images, too; None without one.
    reloader
        Puts new files of the models to work; None where they are not from files.
    """

    settings: Settings
    metrics: Metrics
    models: ServedModels
    limiter: RequestLimiter
    inbox_worker: InboxWorker | None
    audit: AuditTrail
    shadow: Shadow | None = None
    reloader: Reloader | None = None

    @property
    def segmenter(self) -> Segmenter:
        """The default model's, of the moment."""
        return self.models.default.segmenter


def services(request: Request) -> Services:
    """Return those of the application that a request came to."""
    opened: Services = request.app.state.services
    return opened


def services_of(app: FastAPI) -> Services | None:
    """Return an application's; None before it has started."""
    opened: Services | None = getattr(app.state, "services", None)
    return opened
