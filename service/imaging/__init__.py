"""Pure functions on arrays and datasets: no HTTP, no ONNX."""
