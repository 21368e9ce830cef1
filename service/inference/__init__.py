"""The ONNX model: what it says about itself, and how tiles are run through it."""
