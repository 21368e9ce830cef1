"""Builds the FastAPI application. Lifespan: load -> warm -> ready -> drain."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import structlog
from fastapi import FastAPI

from service import __version__
from service.api import health, model, segment, stow, studies, viewer
from service.api.middleware import RequestContext
from service.api.problems import describe_problems, install_handlers
from service.capacity.limiter import RequestLimiter
from service.cores import available_cores
from service.inbox.inbox import Inbox
from service.inbox.worker import InboxWorker
from service.loading import open_segmenter
from service.metrics import Metrics
from service.models import BUNDLED_MODEL
from service.segmenter import Segmenter
from service.settings import Settings

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
    """
    settings = settings or Settings()
    app = FastAPI(
        title="mammoseg",
        version=__version__,
        description=DESCRIPTION,
        license_info={"name": "Apache-2.0 (code); weights: research use only"},
        lifespan=_lifespan,
        # A redirection names http:// behind a proxy that speaks TLS; see `RequestContext`.
        redirect_slashes=False,
    )
    app.state.settings = settings
    app.state.segmenter = segmenter
    app.state.inbox, app.state.inbox_worker = inbox, None
    app.state.metrics = Metrics()
    app.add_middleware(RequestContext, metrics=app.state.metrics)
    install_handlers(app)
    for part in (segment, studies, stow, model, health, viewer):
        app.include_router(part.router)
    describe_problems(app)
    return app


@asynccontextmanager
async def _lifespan(app: FastAPI) -> AsyncIterator[None]:
    state = app.state
    if state.segmenter is None:
        state.segmenter = await asyncio.to_thread(open_segmenter, state.settings)
    net = state.segmenter.net
    state.metrics.watch_net(lambda: net.waiting, lambda: net.net_seconds)
    state.model_card = model_card(state.settings)
    state.limiter = RequestLimiter(
        slots=state.settings.max_in_flight,
        workers=2 * available_cores(),
        memory=state.settings.memory,
        buffers=state.segmenter.reader.buffers,
        timeout_s=state.settings.deadline_s,
        metrics=state.metrics,
        connections=state.settings.max_connections,
    )
    async with _inbox(state):
        log.info("ready", version=__version__)
        yield
        state.limiter.draining = True
    await asyncio.to_thread(state.limiter.close)
    await asyncio.to_thread(state.segmenter.close)
    log.info("stopped")


@asynccontextmanager
async def _inbox(state: Any) -> AsyncIterator[None]:
    """Work on the inbox, if one is configured, while in the context."""
    if state.inbox is None:
        state.inbox = await asyncio.to_thread(open_inbox, state.settings)
    if state.inbox is None:
        yield
        return
    state.inbox.reader = state.segmenter.reader
    with state.inbox:
        state.inbox_worker = InboxWorker(
            state.inbox, state.settings, state.segmenter, state.limiter, state.metrics
        )
        state.inbox_worker.start()
        yield
        await state.inbox_worker.stop()


def model_card(settings: Settings) -> str | None:
    """Return the card that lies beside the model file, in Markdown, or None."""
    card = (settings.model or BUNDLED_MODEL).parent / "MODEL_CARD.md"
    return Path(card).read_text(encoding="utf-8") if card.is_file() else None
