"""One hierarchy of errors: the class is the HTTP status, a stable code, and a patient-free message.

Every message is written here or by our own code at the place of the error; text of a foreign
exception never enters one, because decoders and parsers quote the file's bytes.
"""

import copyreg
import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, ClassVar

PASSING_CODES = frozenset(("decode-limit", "decode-failed"))
"""Codes of refusals that another attempt may not meet: on a busy machine an image takes long to
read, and readers are killed for want of memory that others take. The inbox, where nobody waits for
the answer, tries again."""


class MammosegError(Exception):
    """Base of everything the service says no with.

    Parameters
    ----------
    code
        Stable, lower-case, hyphenated; part of the API.
    detail
        One sentence for the caller. Must not hold anything read from the image.
    """

    status: ClassVar[int] = 500
    title: ClassVar[str] = "The service failed"

    def __init__(self, code: str, detail: str) -> None:
        super().__init__(f"{code}: {detail}")
        self.code = code
        self.detail = detail

    def __reduce__(self) -> tuple[Any, ...]:
        """Travel between processes as what it holds: subclasses take other arguments."""
        return copyreg.__newobj__, (type(self), *self.args), self.__dict__  # type: ignore[attr-defined]

    @property
    def headers(self) -> dict[str, str]:
        """Headers of the answer."""
        return {}


class UnreadableImage(MammosegError):
    """400: these bytes are not an image that can be parsed."""

    status = 400
    title = "Not an image we can read"


class InvalidRequest(MammosegError):
    """400: a parameter of the request is missing or out of its bounds."""

    status = 400
    title = "The request is not valid"


class Unauthenticated(MammosegError):
    """401: the caller has not said who it is, or has not proved it.

    Always the same words, so that they say nothing of what was tried: not whether such a key was
    there once, nor why a token is not believed.

    Parameters
    ----------
    tried
        Whether the request brought anything that might have been a key or a token (RFC 6750, 3.1).
    """

    status = 401
    title = "Not authenticated"

    def __init__(self, *, tried: bool) -> None:
        super().__init__("unauthenticated", "Send a key or a token: Authorization: Bearer KEY.")
        self.tried = tried

    @property
    def headers(self) -> dict[str, str]:
        """Say how to authenticate (RFC 9110, 11.6.1)."""
        why = ', error="invalid_token"' if self.tried else ""
        return {"WWW-Authenticate": f'Bearer realm="mammoseg"{why}'}


class Forbidden(MammosegError):
    """403: the caller is known, and may not do this.

    Parameters
    ----------
    scope
        What it would need.
    """

    status = 403
    title = "Not allowed"

    def __init__(self, *, scope: str) -> None:
        super().__init__("forbidden", f"This needs the scope {scope}.")
        self.scope = scope

    @property
    def headers(self) -> dict[str, str]:
        """Name the scope (RFC 6750, 3.1)."""
        challenge = f'Bearer realm="mammoseg", error="insufficient_scope", scope="{self.scope}"'
        return {"WWW-Authenticate": challenge}


class NoInbox(MammosegError):
    """404: nothing is configured here that could take instances or deliver results."""

    status = 404
    title = "No inbox is configured"


class UnknownModel(MammosegError):
    """404: no model is served under the name that was asked for."""

    status = 404
    title = "No such model"

    def __init__(self) -> None:
        super().__init__("unknown-model", "No model is served by this name: see GET /v1/model.")


class NotAcceptable(MammosegError):
    """406: no encoder gives what `Accept` or `output` asks for."""

    status = 406
    title = "No such form of the result"


class RequestTimeout(MammosegError):
    """408: the caller took too long to say what it wants."""

    status = 408
    title = "The request did not arrive in time"


class TooLarge(MammosegError):
    """413: the body, or the image it would unpack to, is over the limit."""

    status = 413
    title = "Too large"


class UrlTooLong(MammosegError):
    """414: the URL is longer than any honest one."""

    status = 414
    title = "URL too long"


class UnsupportedMedia(MammosegError):
    """415: a media type or a transfer syntax that the service does not read."""

    status = 415
    title = "Unsupported media type or transfer syntax"


class UnsupportedCoding(UnsupportedMedia):
    """415: a content coding that is not undone here (RFC 9110, 15.5.16)."""

    def __init__(self, code: str, detail: str, accepted: Sequence[str]) -> None:
        super().__init__(code, detail)
        self.accepted = accepted

    @property
    def headers(self) -> dict[str, str]:
        """Name those that are, so that the caller can tell this 415 from the others."""
        return {"Accept-Encoding": ", ".join(self.accepted)}


class UnsuitableImage(MammosegError):
    """422: a valid image, but one that this model must not judge."""

    status = 422
    title = "This model must not judge this image"


class MixedStudy(MammosegError):
    """422: the images of one request belong to several patients or studies."""

    status = 422
    title = "Not one study"


class Retryable(MammosegError):
    """Base of what is of the moment: the request may be sent again after `retry_after_s`."""

    def __init__(self, code: str, detail: str, retry_after_s: float = 1.0) -> None:
        super().__init__(code, detail)
        self.retry_after_s = retry_after_s

    @property
    def headers(self) -> dict[str, str]:
        """Say when to come back."""
        return {"Retry-After": str(max(1, math.ceil(self.retry_after_s)))}


class TooManyRequests(Retryable):
    """429: this caller asks more often, or for more at once, than its share."""

    status = 429
    title = "Too many requests"


class HeadersTooLarge(MammosegError):
    """431: the request's headers are longer than any honest ones."""

    status = 431
    title = "Headers too large"


class Overloaded(Retryable):
    """503: full or draining."""

    status = 503
    title = "The service is busy"


class DeviceFailed(Overloaded):
    """503: the device failed for good, and with it this process; another one will answer."""

    title = "The device failed"

    def __init__(self) -> None:
        super().__init__(
            "device-failed", "The device failed; the service ends, to be started again.", 10.0
        )


class NetFailed(MammosegError):
    """500: the net's answer for a part of the image is no probability; none of it is shown."""

    title = "The net failed"

    def __init__(self) -> None:
        super().__init__(
            "net-failed", "The net's answer for this image is no probability; nothing is shown."
        )


class CallerLeft(MammosegError):
    """499: nobody waits for the answer any more, so none is worked out; only metrics see it."""

    status = 499
    title = "The caller left"


class DeadlineExceeded(MammosegError):
    """504: waiting for memory, a reader or the model took longer than the deadline."""

    status = 504
    title = "The deadline passed"


class StartupError(Exception):
    """The service cannot start as configured; the message is for the operator.

    Parameters
    ----------
    message
        One sentence.
    may_pass
        Nothing need be wrong with the settings: a later start may succeed as it is.
    """

    def __init__(self, message: str, *, may_pass: bool = False) -> None:
        super().__init__(message)
        self.may_pass = may_pass


class ContractError(StartupError):
    """The ONNX file does not say what the contract demands, or says something else."""


class SignatureError(StartupError):
    """The model file must be signed, and is not, or not by a key that counts."""


class DeviceError(StartupError):
    """The device asked for does not work; the service never falls back to another in silence."""


@contextmanager
def foreign_errors_as(
    error: MammosegError, lack_of_memory: MammosegError | None = None
) -> Iterator[None]:
    """Raise `error` in place of any foreign exception in the context; our own ones pass.

    Messages of decoders and parsers quote the file, so the cause is dropped with them.

    Parameters
    ----------
    error
        What the caller is told.
    lack_of_memory
        Raised in place of a MemoryError; `error` if None.
    """
    try:
        yield
    except MammosegError:
        raise
    except MemoryError:
        raise lack_of_memory or error from None
    except Exception:
        raise error from None
