"""The same net in servers as their users would build and tune them: see benchmarks/peers.

They tile the whole image. All run at once and are asked in turns; whoever is not asked is stopped.
One that is not installed is left out, and said so.
"""

from collections.abc import Collection, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from importlib.util import find_spec

from benchmarks.bodies import ONE_TILE_MM, dicom_of, film, with_lesions
from benchmarks.figures import Figure, instructions, median
from benchmarks.load import rate, request_of
from benchmarks.plan import Plan
from benchmarks.processes import Server, ours, running

OURS = "ours"


@dataclass(frozen=True, slots=True)
class Peer:
    """A server to be compared with.

    Attributes
    ----------
    module
        In benchmarks.peers.
    package
        What it needs to have installed.
    arguments
        After the model and the port.
    """

    module: str
    package: str
    arguments: tuple[str, ...] = ()


PEERS = {
    "FastAPI + ORT, one thread": Peer("one_thread", "onnxruntime", ("1",)),
    "the same, two workers": Peer("one_thread", "onnxruntime", ("2",)),
    "FastAPI + ORT, all cores": Peer("plain", "onnxruntime"),
    "LitServe": Peer("lit", "litserve"),
    "Ray Serve, two replicas": Peer("ray_serve", "ray", ("2",)),
    "torch + MONAI": Peer("torch_monai", "monai"),
}

CASES = {"film": 2.3, "one tile": 1.3, "four tiles": 1.8, "many and large candidates": 1.3}
"""How much faster than the best peer we shall be at concurrency 4."""

AT_ONE = 1.2
"""The same at concurrency 1."""


@dataclass(frozen=True, slots=True)
class Taken:
    """What rounds gave of one server: mammograms a second, and core-seconds of each."""

    rates: list[float] = field(default_factory=list)
    core_seconds: list[float] = field(default_factory=list)


def measure(plan: Plan) -> list[Figure]:
    """Ask all servers in turns for each case, at concurrency 1 and 4."""
    figures = []
    bodies = {
        "film": film(),
        "one tile": dicom_of(ONE_TILE_MM),
        "four tiles": plan.body(4).dicom,
        "many and large candidates": dicom_of(ONE_TILE_MM, with_lesions()),
    }
    with ExitStack() as stack:
        servers = {OURS: stack.enter_context(ours(plan.model))}
        for name, peer in PEERS.items():
            if find_spec(peer.package) is None:
                figures.append(Figure(f"{name}: {peer.package} is not installed", 0.0, ""))
                continue
            command = ["-m", f"benchmarks.peers.{peer.module}", str(plan.model), "{port}"]
            servers[name] = stack.enter_context(running([*command, *peer.arguments], "/health"))
        with all_stopped(servers.values()):
            for case, body in bodies.items():
                for concurrency in (1, 4):
                    what = f"{case}, concurrency {concurrency}"
                    taken = _in_turns(plan, servers, what, body, concurrency)
                    least = AT_ONE if concurrency == 1 else CASES[case]
                    figures += figures_of(what, taken, least)
    return figures


def figures_of(what: str, taken: dict[str, Taken], least: float) -> list[Figure]:
    """Return a row a server, and how we stand to the best peer of each round."""
    rows = [
        Figure(f"{what}: {name}", median(one.rates), "/s",
               note=f"{median(one.core_seconds):.3f} core-s each; {instructions()}")
        for name, one in taken.items()
    ]  # fmt: skip
    peers = {name: one for name, one in taken.items() if name != OURS}
    if not peers:
        return rows
    us = taken[OURS]
    fastest = max(peers, key=lambda name: median(peers[name].rates))
    thriftiest = min(peers, key=lambda name: median(peers[name].core_seconds))
    ratio = median([a / b for a, b in zip(us.rates, peers[fastest].rates, strict=True)])
    cost = median(
        [a / b for a, b in zip(us.core_seconds, peers[thriftiest].core_seconds, strict=True)]
    )
    return [
        *rows,
        Figure(f"{what}: ours / the fastest peer's", ratio, least=least, note=fastest),
        Figure(f"{what}: core-s, ours / the thriftiest peer's", cost, most=1.0, note=thriftiest),
    ]


def _in_turns(
    plan: Plan, servers: dict[str, Server], what: str, body: bytes, concurrency: int
) -> dict[str, Taken]:
    taken = {name: Taken() for name in servers}
    count = plan.count(4 * concurrency + 8)
    forms = {name: request_of(body, form=name == "LitServe") for name in servers}
    for name, server in servers.items():
        plan.say(f"{what}: {name}, first requests")
        with going_on(server):
            rate(server.port, forms[name], 2 * concurrency, concurrency)
    for index in range(plan.rounds):
        # Who comes first finds other caches than who comes last: they change places.
        for name in list(servers)[:: -1 if index % 2 else 1]:
            plan.say(f"{what}, round {index + 1} of {plan.rounds}: {name}")
            with going_on(servers[name]) as server:
                before = server.cpu_seconds()
                taken[name].rates.append(rate(server.port, forms[name], count, concurrency))
                taken[name].core_seconds.append((server.cpu_seconds() - before) / count)
    return taken


@contextmanager
def all_stopped(servers: Collection[Server]) -> Iterator[None]:
    """Stop all processes of all servers; at the end let them go on, so that they can end."""
    try:
        for server in servers:
            server.stop()
        yield
    finally:
        for server in servers:
            server.go_on()


@contextmanager
def going_on(server: Server) -> Iterator[Server]:
    """Let a server that is stopped run for a while."""
    server.go_on()
    try:
        yield server
    finally:
        server.stop()
