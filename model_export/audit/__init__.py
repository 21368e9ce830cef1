"""Is the data fit to train on? Duplicates, patients on two sides of the split, labels that leak."""

THRESHOLD = 0.008
"""Cosine distance of two images' block histograms below which they count as near-duplicates."""

TILES = 2000
"""Training tiles that are probed; of 320 pixels a side they take 0.8 GB."""
