"""Keeps pydicom quiet: its warnings and log lines quote the file's own values.

Importing this module does it once for the process. `warnings.catch_warnings` is not thread-safe,
and a filter can be reset by whoever configures warnings next, so the one place from which pydicom
warns is given nothing to warn with.
"""

import logging
from types import SimpleNamespace

import pydicom.misc


def _swallow(*_args: object, **_kwargs: object) -> None:
    return None


setattr(pydicom.misc, "warnings", SimpleNamespace(warn=_swallow))  # noqa: B010
_LOGGER = logging.getLogger("pydicom")
_LOGGER.setLevel(logging.CRITICAL + 1)
_LOGGER.propagate = False
