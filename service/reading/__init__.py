"""Files -> images, in processes that may be lost, and that are no danger when they are hostile.

`reader.py` says what a reader is, `pool.py` keeps the processes, `process.py` talks to one of them
over `channel.py` in `messages.py`, `worker.py` is what runs in it, `sandbox.py` takes from it what
it does not need. Nothing is imported here: the process needs but a part of it.
"""
