"""What goes wrong, by class: the service's problems (RFC 9457) by their code, and the way to it."""

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Problem:
    """A problem document of the service.

    Attributes
    ----------
    status
        Of HTTP.
    code
        Stable and hyphenated, such as "modality-not-accepted"; "http-502" where something between
        here and the service answered without one.
    title, detail
        For people.
    request_id
        To find the request in the service's log; empty where the service did not answer.
    """

    status: int
    code: str
    title: str
    detail: str
    request_id: str

    @classmethod
    def from_json(cls, document: Any, status: int | None = None) -> "Problem":
        """Read a document, whatever it is.

        Parameters
        ----------
        document
            JSON; None where there is none.
        status
            Of HTTP; that in the document when None.
        """
        told = document if isinstance(document, dict) else {}
        texts = {name: told.get(name) for name in ("code", "title", "detail", "request_id")}
        known = {name: text for name, text in texts.items() if isinstance(text, str)}
        if status is None:
            status = int(told["status"])
        return cls(
            status,
            known.get("code", f"http-{status}"),
            known.get("title", "The request was not answered as the service does"),
            known.get("detail", f"HTTP status {status} without a problem document."),
            known.get("request_id", ""),
        )


class ClientError(Exception):
    """Base of everything that the client raises of itself."""


class ServiceUnreachable(ClientError):
    """No answer came: no connection, a broken one, or none in time; the cause says which."""


class AnswerBroken(ClientError):
    """An answer came that is none of the service's."""


class ProblemError(ClientError):
    """The service said no; `problem` says why.

    Parameters
    ----------
    problem
        What the service said.
    retry_after_s
        After how many seconds it may be asked again; None where it does not say.
    """

    def __init__(self, problem: Problem, retry_after_s: float | None = None) -> None:
        super().__init__(f"{problem.status} {problem.code}: {problem.detail}")
        self.problem = problem
        self.retry_after_s = retry_after_s

    @property
    def code(self) -> str:
        """The problem's code."""
        return self.problem.code

    def __reduce__(self) -> tuple[Any, ...]:
        """Travel between processes as what it holds."""
        return type(self), (self.problem, self.retry_after_s)


class RequestInvalid(ProblemError):
    """400, 404, 405, 408, 414, 431: the request itself is not one that the service takes."""


class ImageUnreadable(ProblemError):
    """400: the file is no image that can be read."""


class AccessDenied(ProblemError):
    """401, 403: who asks is not known, or may not."""


class FormNotAvailable(ProblemError):
    """406: this result cannot be made, as a DICOM object of a PNG."""


class ImageTooLarge(ProblemError):
    """413: the file, or the image in it, is over a limit."""


class MediaUnsupported(ProblemError):
    """415: a media type or transfer syntax that is not read."""


class ImageUnsuitable(ProblemError):
    """422: a valid image that the model must not judge."""


class NotOneStudy(ProblemError):
    """422: the images are of several patients or studies."""


class Busy(ProblemError):
    """429, 503: the service is full or ends; `retry_after_s` says when to come again."""


class DeviceFailed(Busy):
    """503: the device failed, and the process ends; another will answer."""


class DeadlineExceeded(ProblemError):
    """504: the answer was not there in time."""


class ServiceFailed(ProblemError):
    """Any other status of 500 and above, as of a proxy before the service."""


IMAGE_CODES = frozenset(
    (
        "codestream-size",
        "decode-failed",
        "deflate-corrupt",
        "dicom-unreadable",
        "empty-body",
        "image-size",
        "image-unreadable",
        "not-an-image",
        "not-dicom",
        "pixel-data-corrupt",
        "pixel-data-truncated",
        "pixel-format",
        "truncated",
    )
)
"""Codes of status 400 that speak of the file; others speak of the request."""

BY_CODE: dict[str, type[ProblemError]] = {
    **dict.fromkeys(IMAGE_CODES, ImageUnreadable),
    **dict.fromkeys(("several-patients", "several-studies"), NotOneStudy),
    "device-failed": DeviceFailed,
}

BY_STATUS: dict[int, type[ProblemError]] = {
    401: AccessDenied,
    403: AccessDenied,
    406: FormNotAvailable,
    413: ImageTooLarge,
    415: MediaUnsupported,
    422: ImageUnsuitable,
    429: Busy,
    503: Busy,
    504: DeadlineExceeded,
}


def problem_error(problem: Problem, retry_after_s: float | None = None) -> ProblemError:
    """Return the error of a problem: by its code, else by its status."""
    fallback = ServiceFailed if problem.status >= 500 else RequestInvalid
    kind = BY_CODE.get(problem.code) or BY_STATUS.get(problem.status, fallback)
    return kind(problem, retry_after_s)
