"""HTTP only: read the body, call the segmenter, choose the encoder."""
