"""Who sends a request."""

from dataclasses import dataclass, field

from service.access.scopes import Scope
from service.errors import Forbidden


@dataclass(frozen=True, slots=True)
class Caller:
    """A caller that has said who it is, and proved it.

    Attributes
    ----------
    name
        What logs call it: a key's name, or `oidc:` and the client that a token was issued to. Never
        a secret, and no person.
    identity
        Tells callers apart where their requests are counted; short.
    scopes
        What it may do.
    subject
        `sub` of a token: perhaps a person, so it goes to the audit trail, and never to a log.
    """

    name: str
    identity: str
    scopes: frozenset[Scope]
    subject: str | None = field(default=None, repr=False, compare=False)


class NotInScope(Forbidden):
    """The caller is known, and none of its scopes allows this.

    Parameters
    ----------
    scope
        What it would need.
    caller
        Who it is.
    """

    def __init__(self, *, scope: str, caller: Caller) -> None:
        super().__init__(scope=scope)
        self.caller = caller
