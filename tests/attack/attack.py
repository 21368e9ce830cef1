"""What an attack is, and what it says of itself."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from tests.attack.target import Target

MIB = 2**20


@dataclass(frozen=True, slots=True)
class Sent:
    """What an attack came to.

    Attributes
    ----------
    connections, bytes
        What it took.
    faults
        What it alone can see of a wall that fell.
    """

    connections: int
    bytes: int
    faults: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Attack:
    """One row of the table.

    Attributes
    ----------
    name
        As `--only` takes it.
    sends
        What it does, in a few words.
    run
        Does it. Connections in `Target.lines` stay open while the next good request is sent.
    settings
        MAMMOSEG_* of the service, by their names in lower case, beside those of `Target`.
    alone
        It ends or changes the service, and gets one of its own; others share one.
    refuses_next
        The next good mammogram may be refused, as one that takes too long to read; not one more.
    prepare
        Makes what is sent, before anything is measured.
    """

    name: str
    sends: str
    run: Callable[[Target], Sent]
    settings: Mapping[str, str] = field(default_factory=dict)
    alone: bool = False
    refuses_next: bool = False
    prepare: Callable[[], object] = lambda: None
