"""Ray Serve and onnxruntime: python -m benchmarks.peers.ray_serve MODEL PORT REPLICAS."""

import os
import sys
import threading
from typing import Any

# Half a minute, the default, is too short beside other servers that start; read at the import.
os.environ.setdefault("RAY_raylet_start_wait_time_s", "150")

import ray
from fastapi import FastAPI, Request
from fastapi.concurrency import run_in_threadpool
from ray import serve

from benchmarks.peers.one_thread import OneTileARun
from benchmarks.peers.whole_image import segment

app = FastAPI()


@serve.deployment(ray_actor_options={"num_cpus": 1}, max_ongoing_requests=2)
@serve.ingress(app)
class Mammograms:
    """A replica: a process that takes two requests at a time, so that one can be read meanwhile."""

    def __init__(self, model: str) -> None:
        self._net = OneTileARun(model)

    @app.get("/health")
    async def health(self) -> str:
        """Answer."""
        return "ok"

    @app.post("/v1/segment")
    async def post(self, request: Request) -> Any:
        """Segment a DICOM file."""
        return await run_in_threadpool(segment, await request.body(), self._net)


def main(model: str, port: int, replicas: int) -> None:
    """Serve until the process is ended."""
    ray.init(num_cpus=replicas, include_dashboard=False, log_to_driver=False, logging_level="error")
    serve.start(http_options={"host": "127.0.0.1", "port": port})
    serve.run(
        Mammograms.options(num_replicas=replicas).bind(model),  # type: ignore[attr-defined]
        logging_config={"log_level": "ERROR"},
    )
    threading.Event().wait()


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))
