"""LitServe and onnxruntime: python -m benchmarks.peers.lit MODEL PORT."""

import sys
from typing import Any

import litserve
import numpy as np
import onnxruntime
from fastapi import Request
from numpy.typing import NDArray

from benchmarks.peers.whole_image import answer, read, stitched, tiles_of


class Mammograms(litserve.LitAPI):
    """The hooks that LitServe calls, in its worker process."""

    def setup(self, device: str) -> None:
        """Load the net."""
        self.session = onnxruntime.InferenceSession(MODEL, providers=["CPUExecutionProvider"])

    def decode_request(self, request: Request) -> bytes:
        """Take the file out of the form that LitServe gives here; raw bodies it cannot take."""
        form: Any = request
        content: bytes = form["request"].file.read()
        return content

    def predict(self, body: bytes) -> Any:
        """Run all tiles as one batch."""
        image, shape = read(body)
        probability, has_mask = self._run(tiles_of(image))
        return stitched(image.shape, probability), float(has_mask.max()), shape

    def encode_response(self, output: Any) -> Any:
        """Return the JSON document."""
        probability, logit, shape = output
        return answer(probability, 1 / (1 + float(np.exp(-logit))), shape)

    def _run(self, tiles: NDArray[np.float32]) -> tuple[Any, Any]:
        probability, has_mask = self.session.run(["probability", "has_mask"], {"tile": tiles})
        return probability[:, 0], has_mask[:, 0]


MODEL = sys.argv[1]

if __name__ == "__main__":
    server = litserve.LitServer(
        Mammograms(api_path="/v1/segment"), accelerator="cpu", workers_per_device=1, timeout=600
    )
    server.run(port=int(sys.argv[2]), log_level="warning", generate_client_file=False)
