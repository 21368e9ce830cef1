"""What clients of many makes send: a POST of a body to a URL, byte for byte.

`test_clients.py` runs the programs that are at hand; these are for where none is. Recorded here:
Apache HttpClient 5.2.1 (`apache_form`) and 4.5.14 (`mirth`, `mirth_form`), Go 1.19, .NET Core 3.1
(`dotnet`, `dotnet_form`). From memory, since no package brings them: Apache's offer of TLS from 5.4
on, PowerShell.
"""

from collections.abc import Callable

Request = Callable[[str, bytes], bytes]
"""Makes the bytes of a request of a host with its port, and a body."""


def _head(*lines: str) -> bytes:
    return "\r\n".join([*lines, "", ""]).encode()


def _chunked(body: bytes, size: int) -> bytes:
    pieces = [body[at : at + size] for at in range(0, len(body), size)]
    return b"".join(b"%x\r\n%b\r\n" % (len(piece), piece) for piece in pieces) + b"0\r\n\r\n"


def _form(boundary: str, part: str, body: bytes) -> bytes:
    return f"--{boundary}\r\n{part}\r\n\r\n".encode() + body + f"\r\n--{boundary}--\r\n".encode()


def java(host: str, body: bytes) -> bytes:
    """java.net.http.HttpClient as it is: it offers HTTP/2 to every http:// URL."""
    return (
        _head(
            "POST /v1/segment HTTP/1.1",
            "Connection: Upgrade, HTTP2-Settings",
            f"Content-Length: {len(body)}",
            f"Host: {host}",
            "HTTP2-Settings: AAEAAEAAAAIAAAABAAMAAABkAAQBAAAAAAUAAEAA",
            "Upgrade: h2c",
            "User-Agent: Java-http-client/17.0.15",
            "Content-Type: application/dicom",
        )
        + body
    )


def apache(host: str, body: bytes) -> bytes:
    """Apache HttpClient 5.4 and later: it offers TLS to every http:// URL."""
    return (
        _head(
            "POST /v1/segment HTTP/1.1",
            "Accept-Encoding: gzip, x-gzip, deflate",
            f"Content-Length: {len(body)}",
            "Content-Type: application/dicom",
            f"Host: {host}",
            "Connection: keep-alive",
            "Upgrade: TLS/1.2",
            "Connection: Upgrade",
            "User-Agent: Apache-HttpClient/5.4 (Java/17.0.15)",
        )
        + body
    )


def apache_form(host: str, body: bytes) -> bytes:
    """Its MultipartEntityBuilder, of 5.2."""
    boundary = "Ye1szskmHzQM7D-5nRoF3CSC7rEmWHYcrHBizf"
    part = (
        'Content-Disposition: form-data; name="file"; filename="m.dcm"\r\n'
        "Content-Type: application/octet-stream"
    )
    content = _form(boundary, part, body)
    return (
        _head(
            "POST /v1/segment HTTP/1.1",
            "Accept-Encoding: gzip, x-gzip, deflate",
            f"Content-Length: {len(content)}",
            f"Content-Type: multipart/form-data; charset=ISO-8859-1; boundary={boundary}",
            f"Host: {host}",
            "Connection: keep-alive",
            "User-Agent: Apache-HttpClient/5.2.1 (Java/17.0.15)",
        )
        + content
    )


def mirth(host: str, body: bytes) -> bytes:
    """Mirth Connect's HTTP sender: Apache HttpClient 4, a charset beside any type."""
    return (
        _head(
            "POST /v1/segment/ HTTP/1.1",
            f"Content-Length: {len(body)}",
            "Content-Type: application/dicom; charset=UTF-8",
            f"Host: {host}",
            "Connection: Keep-Alive",
            "User-Agent: Apache-HttpClient/4.5.14 (Java/17.0.15)",
            "Accept-Encoding: gzip,deflate",
        )
        + body
    )


def mirth_form(host: str, body: bytes) -> bytes:
    """The same as multipart, by HttpClient 4: 8bit and binary are named (RFC 2045, 6.1)."""
    boundary = "AQq-l-CTCJO3lOoa2EDDD3dqSquDkwtqlGQ7EV"
    part = (
        'Content-Disposition: form-data; name="file"; filename="m.dcm"\r\n'
        "Content-Type: application/octet-stream\r\nContent-Transfer-Encoding: binary"
    )
    content = _form(boundary, part, body)
    return _head(
        "POST /v1/segment HTTP/1.1",
        "Transfer-Encoding: chunked",
        f"Content-Type: multipart/form-data; boundary={boundary}",
        f"Host: {host}",
        "Connection: Keep-Alive",
        "User-Agent: Apache-HttpClient/4.5.14 (Java/17.0.15)",
        "Accept-Encoding: gzip,deflate",
    ) + _chunked(content, 2048)


def dotnet(host: str, body: bytes) -> bytes:
    """.NET's HttpClient with a StreamContent: no User-Agent, no Accept."""
    return (
        _head(
            "POST /v1/segment HTTP/1.1",
            f"Host: {host}",
            "Content-Type: application/dicom",
            f"Content-Length: {len(body)}",
        )
        + body
    )


def dotnet_form(host: str, body: bytes) -> bytes:
    """.NET's MultipartFormDataContent: a quoted boundary, names without quotes, two filenames."""
    boundary = "1d2f0c6e-7d0f-4c57-a4f0-0d1f27c3b8a4"
    part = "Content-Disposition: form-data; name=file; filename=m.dcm; filename*=utf-8''m.dcm"
    content = _form(boundary, part, body)
    return (
        _head(
            "POST /v1/segment HTTP/1.1",
            f"Host: {host}",
            f'Content-Type: multipart/form-data; boundary="{boundary}"',
            f"Content-Length: {len(content)}",
        )
        + content
    )


def go(host: str, body: bytes) -> bytes:
    """Go's net/http with a reader of unknown length."""
    return _head(
        "POST /v1/segment HTTP/1.1",
        f"Host: {host}",
        "User-Agent: Go-http-client/1.1",
        "Transfer-Encoding: chunked",
        "Content-Type: application/dicom",
        "Accept-Encoding: gzip",
    ) + _chunked(body, 32 * 1024)


def go_form(host: str, body: bytes) -> bytes:
    """Go's multipart.Writer: sixty hexadecimal digits."""
    boundary = "5a" * 30
    part = (
        'Content-Disposition: form-data; name="file"; filename="m.dcm"\r\n'
        "Content-Type: application/octet-stream"
    )
    content = _form(boundary, part, body)
    return (
        _head(
            "POST /v1/segment HTTP/1.1",
            f"Host: {host}",
            "User-Agent: Go-http-client/1.1",
            f"Content-Length: {len(content)}",
            f"Content-Type: multipart/form-data; boundary={boundary}",
            "Accept-Encoding: gzip",
        )
        + content
    )


def powershell(host: str, body: bytes) -> bytes:
    """Windows PowerShell 5.1's Invoke-WebRequest -InFile, by HttpWebRequest."""
    return (
        _head(
            "POST /v1/segment HTTP/1.1",
            "User-Agent: Mozilla/5.0 (Windows NT 10.0; en-US) WindowsPowerShell/5.1.19041",
            "Content-Type: application/x-www-form-urlencoded",
            f"Host: {host}",
            f"Content-Length: {len(body)}",
            "Connection: Keep-Alive",
        )
        + body
    )


CLIENTS: dict[str, Request] = {
    client.__name__: client
    for client in (
        *(java, apache, apache_form, mirth, mirth_form),
        *(dotnet, dotnet_form, go, go_form, powershell),
    )
}
