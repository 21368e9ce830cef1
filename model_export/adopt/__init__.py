"""Any segmentation net -> a file that the service serves: `mammoseg adopt`.

One file a framework reads what that framework wrote; `graph` writes the difference into the ONNX
graph; `proof` compares what is served with what the framework itself answers. Nothing here trains.
"""
