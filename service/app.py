"""Builds the FastAPI application. Lifespan: load -> warm -> ready -> drain."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial

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
from service.loading import open_models
from service.opening import open_access, open_audit, open_inbox, open_watch
from service.outputs.dicom.tables import read_tables
from service.segmenter import Segmenter
from service.services import Services
from service.serving.reloader import Reloader
from service.serving.served_models import OpenModels, ServedModels
from service.serving.shadow import Shadow
from service.settings import Settings
from service.starting import open_shadow, reloader_of, served_models
from service.telemetry.opening import Telemetry

log = structlog.get_logger("mammoseg")

DESCRIPTION = """POST a mammogram, get back where the lesions are: the mask on the image's own
pixels, a has-mask score, a heatmap. **Research use only: not a medical device.**"""


def create_app(
    settings: Settings | None = None,
    segmenter: Segmenter | OpenModels | None = None,
    inbox: Inbox | None = None,
    access: AccessControl | None = None,
) -> FastAPI:
    """Build the application.

    Parameters
    ----------
    settings
        Read from the environment when None.
    segmenter
        An open one, or the open models, closed with the application; opened from `settings` when
        None.
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
    access = access or open_access(settings)
    audit = open_audit(settings)
    telemetry = open_watch(settings)
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
    segmenter: Segmenter | OpenModels | None,
    inbox: Inbox | None,
    access: AccessControl,
    audit: AuditTrail,
) -> AsyncIterator[None]:
    if segmenter is None:
        segmenter = await asyncio.to_thread(open_models, settings)
    are_files = isinstance(segmenter, OpenModels)
    opened = segmenter if isinstance(segmenter, OpenModels) else OpenModels((segmenter,))
    metrics = telemetry.metrics
    models = served_models(settings, opened, telemetry)
    limiter = RequestLimiter(
        slots=settings.max_in_flight,
        workers=2 * available_cores(),
        memory=settings.memory,
        buffers=models.reader.buffers,
        timeout_s=settings.deadline_s,
        metrics=metrics,
        connections=settings.max_connections,
    )
    if inbox is None:
        inbox = await asyncio.to_thread(open_inbox, settings)
    shadow = open_shadow(settings, models, limiter, telemetry)
    reloader = reloader_of(settings, models, limiter) if are_files else None
    async with (
        _working_on(inbox, settings, models, limiter, telemetry, audit, shadow) as inbox_worker,
        _looking(reloader),
    ):
        app.state.services = Services(
            settings, metrics, models, limiter, inbox_worker, audit, shadow, reloader
        )
        await asyncio.to_thread(audit.start)
        access.start()
        log.info("ready", version=__version__)
        yield
        limiter.draining = True
    await access.close()
    await asyncio.to_thread(limiter.close)
    if shadow is not None:
        await asyncio.to_thread(shadow.close)
    await asyncio.to_thread(models.close)
    await asyncio.to_thread(telemetry.close)
    await asyncio.to_thread(audit.close)
    log.info("stopped")


@asynccontextmanager
async def _working_on(
    inbox: Inbox | None,
    settings: Settings,
    models: ServedModels,
    limiter: RequestLimiter,
    telemetry: Telemetry,
    audit: AuditTrail,
    shadow: Shadow | None,
) -> AsyncIterator[InboxWorker | None]:
    """Work on the inbox, if there is one, while in the context, and then close it."""
    if inbox is None:
        yield None
        return
    inbox.reader = models.reader
    model = models.find(settings.inbox_model)
    await asyncio.to_thread(read_tables)
    with inbox:
        worker = InboxWorker(inbox, settings, model, limiter, telemetry.tracing, audit, shadow)
        worker.start()
        yield worker
        await worker.stop()


@asynccontextmanager
async def _looking(reloader: Reloader | None) -> AsyncIterator[None]:
    """Let new files of models be put to work while in the context."""
    if reloader is None:
        yield
        return
    task = asyncio.create_task(reloader.run())
    yield
    reloader.stop()
    await task
