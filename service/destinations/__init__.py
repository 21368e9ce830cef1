"""Where results are delivered: a kind is a file here and a row in both tables of `registry.py`."""
