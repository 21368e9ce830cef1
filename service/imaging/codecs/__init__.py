"""How compressed frames are decoded: one codec, one file, one row in `registry`."""
