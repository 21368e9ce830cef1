"""A file that was received -> its findings, for as long as its caller waits."""

from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass
from typing import Annotated

from fastapi import Query
from pydantic import BeforeValidator
from starlette.requests import Request

from service.api.after_answer import after_answer
from service.api.gate import requester_of
from service.api.numbers import trimmed
from service.api.traced import trace_of
from service.api.upload import Upload
from service.audit.events import accessed
from service.audit.instances import InstanceIdentity, identity_of
from service.cancellation import CancelToken
from service.errors import MammosegError
from service.findings import Findings
from service.imaging.reader import sniff
from service.segmenter import SegmentOptions
from service.services import Services, services
from service.serving.served_model import ServedModel
from service.telemetry.observed import ObservedSegmenter
from service.telemetry.tracing import Trace

ModelName = Annotated[
    str | None,
    Query(
        description="Which model answers, of those that /v1/model lists; the default one without.",
    ),
    BeforeValidator(trimmed),
]
"""The parameter `model` of a query."""


@dataclass(frozen=True, slots=True)
class Segmentation:
    """What one request has done, and by which model.

    Attributes
    ----------
    services
        The application's.
    model
        Which the caller chose.
    trace
        The request's.
    request
        It.
    """

    services: Services
    model: ServedModel
    trace: Trace
    request: Request

    @classmethod
    def of(cls, request: Request, model: str | None) -> "Segmentation":
        """Choose the model, before anything of the body is received.

        Raises
        ------
        UnknownModel
            There is none of that name.
        """
        opened = services(request)
        return cls(opened, opened.models.find(model), trace_of(request), request)

    def stage(self, name: str) -> AbstractContextManager[None]:
        """Count and trace what is done in the context."""
        return self.model.stage(name, self.trace)

    def findings(
        self,
        observed: ObservedSegmenter,
        upload: Upload,
        options: SegmentOptions,
        token: CancelToken,
        held: ExitStack,
    ) -> Findings:
        """Find the lesions in a file that was received, on a worker's thread.

        Parameters
        ----------
        observed
            The model's version, held for as long as one answer takes.
        upload, options, token
            The caller's.
        held
            Holds the memory that the findings take until it is closed.

        Raises
        ------
        MammosegError
            As `Segmenter.segment` says, or nobody waits any more.
        """
        token.raise_if_cancelled()
        limiter, shadow = self.services.limiter, self.services.shadow
        try:
            findings = observed.segment(
                upload.body,
                upload.kind,
                options,
                source="request",
                reserve_pixels=lambda pixels: held.enter_context(limiter.pixels(pixels, token)),
                token=token,
                trace=self.trace,
            )
        except MammosegError as error:
            self._tell(upload, error.code)
            raise
        self._tell(upload, None, findings)
        token.raise_if_cancelled()
        if shadow is not None and (begin := shadow.offer(findings, upload.body, "request")):
            after_answer(self.request.scope).append(begin)
        return findings

    def _tell(self, upload: Upload, code: str | None, findings: Findings | None = None) -> None:
        """Tell the audit trail that a DICOM instance was looked at, or refused; no other files."""
        audit = self.services.audit
        if not audit.is_on or sniff(upload.body) != "dicom":
            return
        header = findings.mammogram.header if findings is not None else None
        identity = InstanceIdentity() if header is None else identity_of(header.dataset())
        audit.record(accessed(requester_of(self.request), audit.process, [identity], code))


async def caller_left(request: Request) -> None:
    """Return when the caller of a request whose body was received leaves."""
    while (await request.receive())["type"] != "http.disconnect":
        pass
