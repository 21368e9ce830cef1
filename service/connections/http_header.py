"""What a request's header must be beyond its grammar, and the answer to one that is not."""

from collections.abc import Sequence
from email.utils import formatdate

from uvicorn.protocols.http.httptools_impl import STATUS_LINE

from service.api.problems import MEDIA_TYPE, problem_of
from service.api.security_headers import with_security_headers
from service.errors import HeadersTooLarge, InvalidRequest, MammosegError, UrlTooLong

SAFE_FIELDS = with_security_headers((), is_tls=False, hsts_s=0)

MAX_URL_BYTES = 8 * 1024
MAX_LENGTH_DIGITS = 20


def check_header(fields: Sequence[tuple[bytes, bytes]], url: bytes, version: str) -> None:
    """Check what the parser does not.

    Parameters
    ----------
    fields
        Lower-case names and values.
    url, version
        The request line's; the version as "1.1".

    Raises
    ------
    InvalidRequest
        Host is missing or repeated (RFC 9112, 3.2), or Content-Length is no number of bytes.
    UrlTooLong
        The URL is over `MAX_URL_BYTES`.
    """
    hosts = sum(name == b"host" for name, _ in fields)
    if hosts > 1 or (not hosts and version != "1.0"):
        raise InvalidRequest("host", "The header must say Host exactly once.")
    if any(name == b"content-length" and len(value) > MAX_LENGTH_DIGITS for name, value in fields):
        raise InvalidRequest("content-length", "Content-Length is no number of bytes.")
    if len(url) > MAX_URL_BYTES:
        raise url_too_long()


def broken() -> MammosegError:
    """Return what is wrong with bytes that are no request."""
    return InvalidRequest("http-broken", "This is no valid HTTP/1.1 request.")


def head_too_large() -> MammosegError:
    """Return what is wrong with a header that does not end."""
    return HeadersTooLarge("headers-too-large", "The request's headers are too long.")


def url_too_long() -> MammosegError:
    """Return what is wrong with a URL that does not end."""
    return UrlTooLong("url-too-long", "The request's URL is too long.")


def last_answer(error: MammosegError, request_id: str) -> bytes:
    """Return an answer as RFC 9457 has it, whole as it is sent, which is the connection's last.

    Parameters
    ----------
    error
        What is wrong.
    request_id
        Of the bytes that are refused, to find in the log.
    """
    body = problem_of(error, request_id).model_dump_json().encode()
    fields = {
        "date": formatdate(usegmt=True),
        "content-type": MEDIA_TYPE,
        "content-length": str(len(body)),
        "connection": "close",
        **{name.decode(): value.decode() for name, value in SAFE_FIELDS},
        "x-request-id": request_id,
        **error.headers,
    }
    head = "".join(f"{name}: {value}\r\n" for name, value in fields.items())
    return STATUS_LINE[error.status] + head.encode() + b"\r\n" + body
