"""A file that was received -> its findings, for as long as its caller waits."""

from contextlib import ExitStack

from starlette.requests import Request

from service.api.upload import Upload
from service.cancellation import CancelToken
from service.findings import Findings
from service.segmenter import SegmentOptions
from service.services import Services
from service.telemetry.tracing import NO_TRACE, Trace


def segment_upload(
    services: Services,
    upload: Upload,
    options: SegmentOptions,
    token: CancelToken,
    held: ExitStack,
    trace: Trace = NO_TRACE,
) -> Findings:
    """Find the lesions in a file that was received, on a worker's thread.

    Parameters
    ----------
    services
        The application's.
    upload, options, token
        The caller's.
    held
        Holds the memory that the findings take until it is closed.
    trace
        The request's.

    Raises
    ------
    MammosegError
        As `Segmenter.segment` says, or nobody waits any more.
    """
    token.raise_if_cancelled()
    findings = services.observed.segment(
        upload.body,
        upload.kind,
        options,
        source="request",
        reserve_pixels=lambda pixels: held.enter_context(services.limiter.pixels(pixels, token)),
        token=token,
        trace=trace,
    )
    token.raise_if_cancelled()
    return findings


async def caller_left(request: Request) -> None:
    """Return when the caller of a request whose body was received leaves."""
    while (await request.receive())["type"] != "http.disconnect":
        pass
