"""The same net in servers as a user would build them: see benchmarks/peers.

They tile the whole image. One that is not installed is left out, and said so.
"""

from importlib.util import find_spec

from benchmarks.figures import Figure
from benchmarks.load import rate, request_of
from benchmarks.plan import Plan
from benchmarks.processes import Server, ours, running

PEERS = {
    "FastAPI + onnxruntime": ("plain", "onnxruntime", 2.0),
    "LitServe": ("lit", "litserve", 2.0),
    "torch bf16 + MONAI": ("torch_monai", "monai", 1.5),
}
"""Name to module, the package it needs, and how much faster we shall be at concurrency 4."""

TILES = (1, 2)


def measure(plan: Plan) -> list[Figure]:
    """Both servers stay up while they are asked in turns; the other idles."""
    figures = []
    with ours(plan.model) as us:
        for name, (module, package, wanted) in PEERS.items():
            if find_spec(package) is None:
                figures.append(Figure(f"{name}: not installed", 0.0, ""))
                continue
            command = ["-m", f"benchmarks.peers.{module}", str(plan.model), "{port}"]
            with running(command, "/health") as peer:
                for tiles in TILES:
                    figures += _against(plan, us, peer, f"{name}, {tiles} tiles", tiles, wanted)
    return figures


def _against(
    plan: Plan, us: Server, peer: Server, name: str, tiles: int, wanted: float
) -> list[Figure]:
    dicom = plan.body(tiles).dicom
    ours_asked, theirs_asked = request_of(dicom), request_of(dicom, form="LitServe" in name)
    figures = []
    for concurrency, least in ((1, 1.0), (4, wanted)):
        count = plan.count(4 * concurrency + 4)
        for server, request in ((us, ours_asked), (peer, theirs_asked)):
            rate(server.port, request, 4, concurrency)
        own, ratio = plan.in_turns(
            f"{name}, concurrency {concurrency}",
            lambda: rate(us.port, ours_asked, count, concurrency),  # noqa: B023
            lambda: rate(peer.port, theirs_asked, count, concurrency),  # noqa: B023
        )
        figures.append(Figure(f"{name}, concurrency {concurrency}: ours / theirs", ratio,
                              least=least, note=f"ours {own:.2f}/s"))  # fmt: skip
    return figures
