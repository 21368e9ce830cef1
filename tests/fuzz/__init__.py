"""Looks for inputs nobody thought of: `python -m tests.fuzz TARGET --seconds N`; see README."""
