"""Loads pydicom without requests and tqdm, which it brings along to download its examples.

With what they need they are a fifth of the instructions of a reader's imports (callgrind), and a
reader opens no connection (`sandbox.py`). To be imported before pydicom; afterwards it does
nothing. Whoever imports requests later gets it.
"""

import sys

if "pydicom" not in sys.modules:
    absent = [name for name in ("requests", "tqdm") if name not in sys.modules]
    # None there is Python's own word for a module that cannot be imported.
    sys.modules.update(dict.fromkeys(absent))  # type: ignore[arg-type]
    try:
        import pydicom as pydicom
    finally:
        for name in absent:
            del sys.modules[name]
