"""torch with MONAI's sliding window: python -m benchmarks.peers.torch_monai MODEL PORT.

In bfloat16 where the processor has it; where it is emulated, nobody would serve so.
"""

import sys
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
import uvicorn
from fastapi import FastAPI, Request
from fastapi.concurrency import run_in_threadpool
from monai.inferers.inferer import SlidingWindowInferer
from torch import Tensor

from benchmarks.peers.torch_net import OnnxNet
from benchmarks.peers.whole_image import STRIDE, TILE, answer, read
from model_export.training.precision import resolve

DTYPE = torch.bfloat16 if resolve("auto", "cpu").startswith("bf16") else torch.float32

app = FastAPI()
net: OnnxNet
window = SlidingWindowInferer(
    roi_size=(TILE, TILE), sw_batch_size=4, overlap=1 - STRIDE / TILE, mode="gaussian"
)


def segment(body: bytes) -> Any:
    """Segment a DICOM file."""
    image, shape = read(body)
    logits: list[float] = []

    def run(tiles: Tensor) -> Tensor:
        maps = net(tiles.to(DTYPE).contiguous(memory_format=torch.channels_last))
        logits.append(float(maps["has_mask"].max()))
        return cast(Tensor, maps["probability"].float())

    with torch.inference_mode():
        maps = cast(Tensor, window(torch.from_numpy(image)[None, None], run))
    probability = maps[0, 0].numpy()
    return answer(probability, 1 / (1 + float(np.exp(-max(logits)))), shape)


@app.get("/health")
async def health() -> str:
    """Answer."""
    return "ok"


@app.post("/v1/segment")
async def post(request: Request) -> Any:
    """Segment a DICOM file."""
    return await run_in_threadpool(segment, await request.body())


if __name__ == "__main__":
    net = OnnxNet(Path(sys.argv[1])).eval().to(DTYPE)
    uvicorn.run(app, port=int(sys.argv[2]), log_level="warning")
