"""Loads pydicom without requests and tqdm, which it brings along to download its examples.

With what they need they are a quarter of the time in which a reader comes up, and a seventh of the
service's imports; and a reader, which opens no connection (`service/reading/sandbox.py`), holds
less. To be imported before pydicom; afterwards it does nothing. Whoever imports requests later gets
it.
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
