"""Builds the FastAPI application. Lifespan: load -> warm -> ready -> drain."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
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
from service.inbox.inbox import Inbox
from service.inbox.worker import InboxWorker
from service.outputs.dicom.tables import read_tables
from service.segmenter import Segmenter
from service.services import Services
from service.serving.reloader import Reloader
from service.serving.served_models import OpenModels, ServedModels
from service.settings import Settings
from service.startup.models import open_models
from service.startup.parts import open_access, open_audit, open_inbox, open_watch
from service.startup.serving import open_shadow, reloader_of, served_models
from service.system.cores import available_cores
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
    """Open everything, and close whatever was opened, in reverse, whatever fails meanwhile."""
    async with AsyncExitStack() as stack:
        _on_thread(stack, audit.close)
        _on_thread(stack, telemetry.close)
        if inbox is not None:
            stack.callback(inbox.close)
        are_files = segmenter is None or isinstance(segmenter, OpenModels)
        models = await _opened_models(stack, settings, segmenter, telemetry)
        limiter = _limiter(settings, models, telemetry)
        _on_thread(stack, limiter.close)
        if inbox is None:
            inbox = await asyncio.to_thread(open_inbox, settings)
            if inbox is not None:
                stack.callback(inbox.close)
        shadow = open_shadow(settings, models, limiter, telemetry)
        if shadow is not None:
            _on_thread(stack, shadow.close)
        stack.push_async_callback(access.close)
        worker = None
        if inbox is not None:
            await asyncio.to_thread(read_tables)
            inbox.reader, judge = models.reader, models.find(settings.inbox_model)
            worker = InboxWorker(inbox, settings, judge, limiter, telemetry.tracing, audit, shadow)
            worker.start()
            stack.push_async_callback(worker.stop)
        reloader = reloader_of(settings, models, limiter) if are_files else None
        if reloader is not None:
            await stack.enter_async_context(_looking(reloader))
        await asyncio.to_thread(audit.start)
        access.start()
        app.state.services = Services(
            settings, telemetry.metrics, models, limiter, worker, audit, shadow, reloader
        )
        # Pushed last, so done first: nothing new is taken while the rest ends.
        stack.callback(setattr, limiter, "draining", True)
        log.info("ready", version=__version__)
        yield
    log.info("stopped")


def _on_thread(stack: AsyncExitStack, close: Callable[[], None]) -> None:
    """Have something closed that takes its time."""
    stack.push_async_callback(asyncio.to_thread, close)


async def _opened_models(
    stack: AsyncExitStack,
    settings: Settings,
    segmenter: Segmenter | OpenModels | None,
    telemetry: Telemetry,
) -> ServedModels:
    """Return the models by their names, opened where they are not yet; closed with the stack."""
    if segmenter is None:
        segmenter = await asyncio.to_thread(open_models, settings)
    opened = segmenter if isinstance(segmenter, OpenModels) else OpenModels((segmenter,))
    try:
        models = served_models(settings, opened, telemetry)
    except BaseException:
        opened.close()
        raise
    _on_thread(stack, models.close)
    return models


def _limiter(settings: Settings, models: ServedModels, telemetry: Telemetry) -> RequestLimiter:
    return RequestLimiter(
        slots=settings.max_in_flight,
        workers=2 * available_cores(),
        memory=settings.memory,
        buffers=models.reader.buffers,
        timeout_s=settings.deadline_s,
        metrics=telemetry.metrics,
        connections=settings.max_connections,
    )


@asynccontextmanager
async def _looking(reloader: Reloader) -> AsyncIterator[None]:
    """Let new files of models be put to work while in the context."""
    task = asyncio.create_task(reloader.run())
    try:
        yield
    finally:
        reloader.stop()
        await task
