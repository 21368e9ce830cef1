"""The model that comes with the service, and its card."""

from pathlib import Path

BUNDLED_MODEL = Path(__file__).parent / "mammoseg-lite.onnx"
