"""A file that was received -> its findings, for as long as its caller waits."""

from contextlib import ExitStack

from starlette.requests import Request

from service.api.upload import Upload
from service.audit.event import Participant
from service.audit.events import accessed
from service.audit.instances import InstanceIdentity, identity_of
from service.cancellation import CancelToken
from service.errors import MammosegError
from service.findings import Findings
from service.imaging.reader import sniff
from service.segmenter import SegmentOptions
from service.services import Services
from service.telemetry.tracing import NO_TRACE, Trace


def segment_upload(
    services: Services,
    upload: Upload,
    options: SegmentOptions,
    token: CancelToken,
    held: ExitStack,
    who: Participant,
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
    who
        The caller, for the audit trail.
    trace
        The request's.

    Raises
    ------
    MammosegError
        As `Segmenter.segment` says, or nobody waits any more.
    """
    token.raise_if_cancelled()
    try:
        findings = services.observed.segment(
            upload.body,
            upload.kind,
            options,
            source="request",
            reserve_pixels=lambda pixels: held.enter_context(
                services.limiter.pixels(pixels, token)
            ),
            token=token,
            trace=trace,
        )
    except MammosegError as error:
        _tell(services, who, upload, error.code)
        raise
    _tell(services, who, upload, None, findings)
    token.raise_if_cancelled()
    return findings


def _tell(
    services: Services,
    who: Participant,
    upload: Upload,
    code: str | None,
    findings: Findings | None = None,
) -> None:
    """Tell the audit trail that a DICOM instance was looked at, or refused; no other files."""
    audit = services.audit
    if not audit.is_on or sniff(upload.body) != "dicom":
        return
    header = findings.mammogram.header if findings is not None else None
    identity = InstanceIdentity() if header is None else identity_of(header.dataset())
    audit.record(accessed(who, audit.process, [identity], code))


async def caller_left(request: Request) -> None:
    """Return when the caller of a request whose body was received leaves."""
    while (await request.receive())["type"] != "http.disconnect":
        pass
