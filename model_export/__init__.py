"""What makes the ONNX file: data sets, networks, losses, training, export, evaluation."""
