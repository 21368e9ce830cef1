"""Keeps pydicom and Pillow quiet: their warnings and log lines quote the file's own values.

Importing this module does it once for the process. `warnings.catch_warnings` is not thread-safe,
and a filter can be reset by whoever configures warnings next, so the one place from which pydicom
warns is given nothing to warn with. Pillow's warnings hold numbers of tags and bytes alone.
"""

import logging
from types import SimpleNamespace

import pydicom.misc


def _swallow(*_args: object, **_kwargs: object) -> None:
    return None


def _silence(name: str) -> None:
    logger = logging.getLogger(name)
    logger.setLevel(logging.CRITICAL + 1)
    logger.propagate = False


setattr(pydicom.misc, "warnings", SimpleNamespace(warn=_swallow))  # noqa: B010
_silence("pydicom")
_silence("PIL")
