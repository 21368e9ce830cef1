"""Plain FastAPI and onnxruntime: python -m benchmarks.peers.plain MODEL PORT."""

import sys
from typing import Any

import numpy as np
import onnxruntime
import uvicorn
from fastapi import FastAPI, Request
from fastapi.concurrency import run_in_threadpool
from numpy.typing import NDArray

from benchmarks.peers.whole_image import segment

app = FastAPI()
session: onnxruntime.InferenceSession


def net(tiles: NDArray[np.float32]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Run all tiles as one batch, on all cores."""
    probability, has_mask = session.run(["probability", "has_mask"], {"tile": tiles})
    return probability[:, 0], has_mask[:, 0]


@app.get("/health")
async def health() -> str:
    """Answer."""
    return "ok"


@app.post("/v1/segment")
async def post(request: Request) -> Any:
    """Segment a DICOM file."""
    return await run_in_threadpool(segment, await request.body(), net)


if __name__ == "__main__":
    session = onnxruntime.InferenceSession(sys.argv[1], providers=["CPUExecutionProvider"])
    uvicorn.run(app, port=int(sys.argv[2]), log_level="warning")
