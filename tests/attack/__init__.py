"""Attacks on a running service, one after another: `python -m tests.attack`."""
