"""A trained net -> the one ONNX file that the service serves."""
