"""Builds the FastAPI application. Lifespan: load -> warm -> ready -> drain."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path

import structlog
from fastapi import FastAPI

from service import __version__
from service.access.access import AccessControl
from service.api import health, model, segment, stow, studies, viewer
from service.api.access_description import describe_access
from service.api.gate import Gate
from service.api.middleware import RequestContext
from service.api.problems import describe_problems, install_handlers
from service.audit.trail import AuditTrail
from service.capacity.limiter import RequestLimiter
from service.cores import available_cores
from service.inbox.inbox import Inbox
from service.inbox.worker import InboxWorker
from service.loading import open_segmenter
from service.models import BUNDLED_MODEL
from service.outputs.dicom.tables import read_tables
from service.segmenter import Segmenter
from service.services import Services
from service.settings import Settings
from service.telemetry.observed import ObservedSegmenter
from service.telemetry.opening import Telemetry, open_telemetry
from service.telemetry.watching import watch

log = structlog.get_logger("mammoseg")

DESCRIPTION = """POST a mammogram, get back where the lesions are: the mask on the image's own
pixels, a has-mask score, a heatmap. **Research use only: not a medical device.**"""


def open_inbox(settings: Settings) -> Inbox | None:
    """Open the inbox, if there is somewhere to deliver results.

    Raises
    ------
    StartupError
        It cannot be opened.
    """
    return Inbox(settings) if settings.destinations else None


def create_app(
    settings: Settings | None = None,
    segmenter: Segmenter | None = None,
    inbox: Inbox | None = None,
    access: AccessControl | None = None,
) -> FastAPI:
    """Build the application.

    Parameters
    ----------
    settings
        Read from the environment when None.
    segmenter
        An open one, closed with the application; opened from `settings` when None.
    inbox
        An open one, closed with the application; opened from `settings` when None.
    access
        Who may come in; as `settings` say when None.

    Raises
    ------
    StartupError
        `settings` let nobody in, or everybody, or what is to watch the service, or its audit
        buffer, cannot be opened.
    """
    settings = settings or Settings()
    access = access or AccessControl(settings.access_options())
    audit = AuditTrail("mammoseg serve", settings.audit_options(settings.inbox))
    telemetry = open_telemetry(settings.telemetry_options(), __version__)
    app = FastAPI(
        title="mammoseg",
        version=__version__,
        description=DESCRIPTION,
        license_info={"name": "Apache-2.0 (code), CC BY 4.0 (the bundled weights)"},
        lifespan=partial(
            _lifespan,
            settings=settings,
            telemetry=telemetry,
            segmenter=segmenter,
            inbox=inbox,
            access=access,
            audit=audit,
        ),
        # A redirection names http:// behind a proxy that speaks TLS; see `RequestContext`.
        redirect_slashes=False,
    )
    app.add_middleware(Gate, access=access, audit=audit)
    app.add_middleware(
        RequestContext,
        metrics=telemetry.metrics,
        tracing=telemetry.tracing,
        hsts_s=settings.hsts_s,
    )
    install_handlers(app)
    for part in (segment, studies, stow, model, health, viewer):
        app.include_router(part.router)
    describe_problems(app)
    describe_access(app)
    return app


@asynccontextmanager
async def _lifespan(
    app: FastAPI,
    *,
    settings: Settings,
    telemetry: Telemetry,
    segmenter: Segmenter | None,
    inbox: Inbox | None,
    access: AccessControl,
    audit: AuditTrail,
) -> AsyncIterator[None]:
    if segmenter is None:
        segmenter = await asyncio.to_thread(open_segmenter, settings)
    metrics = telemetry.metrics
    watch(segmenter, metrics)
    observed = telemetry.observed(segmenter)
    limiter = RequestLimiter(
        slots=settings.max_in_flight,
        workers=2 * available_cores(),
        memory=settings.memory,
        buffers=segmenter.reader.buffers,
        timeout_s=settings.deadline_s,
        metrics=metrics,
        connections=settings.max_connections,
    )
    if inbox is None:
        inbox = await asyncio.to_thread(open_inbox, settings)
    async with _working_on(inbox, settings, observed, limiter, telemetry, audit) as inbox_worker:
        app.state.services = Services(
            settings,
            metrics,
            segmenter,
            observed,
            limiter,
            inbox_worker,
            model_card(settings),
            audit,
        )
        await asyncio.to_thread(audit.start)
        access.start()
        log.info("ready", version=__version__)
        yield
        limiter.draining = True
    await access.close()
    await asyncio.to_thread(limiter.close)
    await asyncio.to_thread(segmenter.close)
    await asyncio.to_thread(telemetry.close)
    await asyncio.to_thread(audit.close)
    log.info("stopped")


@asynccontextmanager
async def _working_on(
    inbox: Inbox | None,
    settings: Settings,
    observed: ObservedSegmenter,
    limiter: RequestLimiter,
    telemetry: Telemetry,
    audit: AuditTrail,
) -> AsyncIterator[InboxWorker | None]:
    """Work on the inbox, if there is one, while in the context, and then close it."""
    if inbox is None:
        yield None
        return
    inbox.reader = observed.segmenter.reader
    await asyncio.to_thread(read_tables)
    with inbox:
        worker = InboxWorker(inbox, settings, observed, limiter, telemetry.tracing, audit)
        worker.start()
        yield worker
        await worker.stop()


def model_card(settings: Settings) -> str | None:
    """Return the card that lies beside the model file, in Markdown, or None."""
    card = (settings.model or BUNDLED_MODEL).parent / "MODEL_CARD.md"
    return Path(card).read_text(encoding="utf-8") if card.is_file() else None
