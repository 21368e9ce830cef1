"""Where results are delivered: a kind of destination is one file, and one row in `registry.py`."""
