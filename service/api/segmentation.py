"""A file that was received -> its findings, for as long as its caller waits."""

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
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
from service.reading.identity import identities_by
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

INTERNAL = "internal"
"""What is told of a fault of ours, as its answer has it."""


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
        limiter, shadow = self.services.limiter, self.services.shadow
        with self.telling([upload]):
            token.raise_if_cancelled()
            findings = observed.segment(
                upload.body,
                upload.kind,
                options,
                source="request",
                reserve_pixels=lambda pixels: held.enter_context(limiter.pixels(pixels, token)),
                token=token,
                trace=self.trace,
            )
        header = findings.mammogram.header
        if self.services.audit.is_on and header is not None:
            self._tell([identity_of(header.dataset())], None)
        token.raise_if_cancelled()
        if shadow is not None and (begin := shadow.offer(findings, upload.body, "request")):
            after_answer(self.request.scope).append(begin)
        return findings

    @contextmanager
    def telling(self, uploads: Sequence[Upload]) -> Iterator[None]:
        """Tell the audit trail of files that the context fails with: whose they are, and why.

        Parameters
        ----------
        uploads
            As they are when it fails; of those that are DICOM instances it is told.
        """
        try:
            yield
        except Exception as error:
            if self.services.audit.is_on:
                code = error.code if isinstance(error, MammosegError) else INTERNAL
                reader = self.services.models.reader
                self._tell(identities_by(reader, [upload.body for upload in uploads]), code)
            raise

    def _tell(self, whose: list[InstanceIdentity], code: str | None) -> None:
        audit = self.services.audit
        audit.record(accessed(requester_of(self.request), audit.process, whose, code))


async def caller_left(request: Request) -> None:
    """Return when the caller of a request whose body was received leaves."""
    while (await request.receive())["type"] != "http.disconnect":
        pass
