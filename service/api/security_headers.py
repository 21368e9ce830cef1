"""What every answer tells a browser to beware of."""

from collections.abc import Iterable

Field = tuple[bytes, bytes]

NO_SNIFFING: tuple[Field, ...] = (
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
)

NOTHING = b"default-src 'none'; frame-ancestors 'none'"
"""Content security policy of what is no page: shown all the same, it loads nothing."""

PAGE = b"frame-ancestors 'none'; base-uri 'none'; form-action 'self'"
"""Of pages that bring none of their own."""

UNFRAMED = b"frame-ancestors 'none'"


def with_security_headers(fields: Iterable[Field], is_tls: bool, hsts_s: int) -> list[Field]:
    """Return the header of an answer with what is missing of it.

    Parameters
    ----------
    fields
        Lower-case names, and values.
    is_tls
        Whether the caller speaks TLS, with us or with a proxy that is believed.
    hsts_s
        Time for which browsers are to speak nothing else with this host, seconds (RFC 6797); 0 does
        not say so.
    """
    kept = [field for field in fields if field[0] != b"content-security-policy"]
    given = dict(fields)
    policy = given.get(b"content-security-policy")
    if policy is None:
        policy = PAGE if given.get(b"content-type", b"").startswith(b"text/html") else NOTHING
    elif b"frame-ancestors" not in policy:
        policy = policy.rstrip(b"; ") + b"; " + UNFRAMED
    kept += [field for field in NO_SNIFFING if field[0] not in given]
    kept.append((b"content-security-policy", policy))
    if not given.keys() & {b"cache-control", b"etag"}:
        # Results are a patient's.
        kept.append((b"cache-control", b"no-store"))
    if is_tls and hsts_s:
        kept.append((b"strict-transport-security", b"max-age=%d" % hsts_s))
    return kept
