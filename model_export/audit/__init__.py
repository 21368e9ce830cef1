"""Is the data fit to train on? Duplicates, patients on two sides of the split, labels that leak."""

THRESHOLD = 0.008
"""Cosine distance of two images' block histograms below which they count as near-duplicates."""
