"""Looks at the model as it runs: its file, its golden tile, its time."""

import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import cv2
import numpy as np

from service.cancellation import CancelToken
from service.doctor.check import Check, mend, note, well
from service.imaging.tiles import Tile
from service.inference.golden import golden_deviation, golden_tile
from service.inference.session import TileOutputs
from service.reading import sandbox
from service.segmenter import Segmenter, SegmentOptions

TIMES = 5

SLOW = 4.0
"""Times as long as the bare net takes for its tiles; the chain around it takes about as long as the
net does, and more on a machine that is busy."""


def model_checks(segmenter: Segmenter) -> Iterator[Check]:
    """Yield what there is to say of an open segmenter."""
    info, contract = segmenter.net.model_info, segmenter.contract
    yield well("model", f"{contract.name} {contract.version}, sha256 {info.sha256[:16]}...")
    shape = "x".join(map(str, contract.tiling.shapes[-1]))
    yield well(
        "contract",
        f"version {contract.contract_version}: {contract.spacing.working_mm} mm, tiles of {shape}, "
        f"threshold {contract.operating_point.has_mask:.3f}",
    )
    yield golden_check(segmenter)
    yield sandbox_check(segmenter.reader.sandbox())
    yield timing_check(*timing_ms(segmenter))


def other_model_check(segmenter: Segmenter, role: str) -> Check:
    """Say which model is there beside the default one; that it opened, proves it."""
    contract, model = segmenter.contract, segmenter.model
    golden = golden_check(segmenter)
    found = f"{role}: {contract.name} {contract.version}, sha256 {model.sha256[:16]}...; "
    return Check(f"model {model.id}", golden.state, found + golden.found, golden.advice)


def signatures_check(keys: Sequence[Path]) -> Check:
    """Say whether models must be signed; that they opened, proves that they are."""
    if not keys:
        return well("signatures", "MODEL_KEY is not set: any file is served")
    return well("signatures", f"every model is signed by one of {', '.join(map(str, keys))}")


def golden_check(segmenter: Segmenter) -> Check:
    """Run the golden tile on the provider in use, and compare."""
    contract, info = segmenter.contract, segmenter.net.model_info
    tile = golden_tile(contract)[0, 0]
    (answer,) = segmenter.net.run([Tile(0, 0, tile)], CancelToken())
    outputs = TileOutputs(
        answer.probability[np.newaxis],
        np.array([answer.has_mask_logit], np.float32),
        np.zeros((1, 1, 1), np.float32),
    )
    off, tolerance = golden_deviation(contract, outputs), contract.golden.tolerance
    found = f"{info.provider} ({info.setup}): golden tile off by {off:.1e}, {tolerance:.1e} allowed"
    if not off <= tolerance:
        return mend("provider", found, "the device computes another net: try MAMMOSEG_DEVICE=cpu")
    return well("provider", found)


def sandbox_check(walls: dict[str, dict[str, str]]) -> Check:
    """Say which walls stand around the readers; all hold by themselves, so none is demanded."""
    lacking = [
        f"{name} {state}"
        for parts in walls.values()
        for name, state in parts.items()
        if name in sandbox.missing(parts)
    ]
    if lacking:
        advice = "a newer kernel, or a container that allows it, has them: docs/reliability.md"
        return note("sandbox", ", ".join(lacking), advice)
    return well("sandbox", f"{sum(map(len, walls.values()))} walls stand")


def timing_ms(segmenter: Segmenter) -> tuple[float, float]:
    """Return how long a drawn mammogram takes, and the bare net for its tiles, at best, in ms."""
    body = drawn_mammogram()
    whole, net = [], []
    for _ in range(TIMES):
        began = time.perf_counter()
        findings = segmenter.segment(body, "png", SegmentOptions(picture_side=0, objects=False))
        whole.append((time.perf_counter() - began) * 1e3)
        net.append(findings.timing_ms["net"])
    return min(whole), min(net)


def timing_check(whole_ms: float, net_ms: float) -> Check:
    """Compare the whole chain with the bare net."""
    ratio = whole_ms / max(net_ms, 0.1)
    found = f"a mammogram {whole_ms:.0f} ms, of which the bare net {net_ms:.0f} ms: {ratio:.1f}x"
    if ratio > SLOW:
        advice = f"over {SLOW:.0f}x: other programs take this machine's cores, or the disk swaps"
        return note("timing", found, advice)
    return well("timing", found)


def drawn_mammogram() -> bytes:
    """Return a PNG of 2400 x 1800 pixels, as of a breast with a lesion."""
    pixels = np.zeros((2400, 1800), np.uint8)
    cv2.ellipse(pixels, (0, 1200), (1000, 1040), 0, 0, 360, 90, cv2.FILLED)
    cv2.circle(pixels, (480, 1120), 100, 220, cv2.FILLED)
    return cv2.imencode(".png", pixels)[1].tobytes()
