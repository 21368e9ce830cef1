"""FastAPI and onnxruntime for load: python -m benchmarks.peers.one_thread MODEL PORT WORKERS.

One session of one thread, one tile a run; requests run side by side in Starlette's threads.
"""

import os
import sys
from typing import Any

import cv2
import numpy as np
import onnxruntime
import uvicorn
from fastapi import FastAPI, Request
from fastapi.concurrency import run_in_threadpool
from numpy.typing import NDArray

from benchmarks.peers.whole_image import segment

MODEL = "PEER_MODEL"

app = FastAPI()


def one_thread_session(model: str) -> onnxruntime.InferenceSession:
    """Open the model for runs that share the cores with others."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    return onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])


class OneTileARun:
    """Runs tiles one after the other."""

    def __init__(self, model: str) -> None:
        # OpenCV's own threads would fight for the same cores.
        cv2.setNumThreads(1)
        self._session = one_thread_session(model)

    def __call__(
        self, tiles: NDArray[np.float32]
    ) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Return probability and logits of all tiles."""
        outputs = [
            self._session.run(["probability", "has_mask"], {"tile": tile[None]}) for tile in tiles
        ]
        probability, has_mask = (np.concatenate(one) for one in zip(*outputs, strict=True))
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
    os.environ[MODEL] = sys.argv[1]
    uvicorn.run(
        "benchmarks.peers.one_thread:app",
        port=int(sys.argv[2]),
        workers=int(sys.argv[3]),
        log_level="warning",
    )
else:
    # Each of uvicorn's workers imports the module anew.
    net = OneTileARun(os.environ[MODEL]) if MODEL in os.environ else None
