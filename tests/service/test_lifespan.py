"""What the application opens: each is closed, in its turn, whatever fails before."""

import asyncio
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from fastapi import FastAPI

import service.app
from service.app import _lifespan
from service.inbox.inbox import Inbox
from service.inference.net import Net
from service.metrics import Metrics
from service.reading.reader import Reader
from service.segmenter import Segmenter
from service.services import services_of
from service.serving.served_model import ServedModel
from service.serving.served_models import OpenModels, ServedModels
from service.settings import Settings

pytestmark = pytest.mark.unit

CLOSED = (
    "reloader",
    "worker",
    "access",
    "shadow",
    "inbox",
    "limiter",
    "models",
    "telemetry",
    "audit",
)
"""In this order: what answers before what it answers with, and last who is told of it."""

GIVEN = {"telemetry", "audit"}
"""Open before the application starts."""

BEGUN: dict[str, set[str]] = {
    "models": GIVEN,
    "limiter": GIVEN | {"models"},
    "inbox": GIVEN | {"models", "limiter"},
    "shadow": GIVEN | {"models", "limiter", "inbox"},
    "worker": set(CLOSED) - {"worker", "reloader"},
    "reloader": set(CLOSED) - {"reloader"},
    "audit": set(CLOSED),
    "access": set(CLOSED),
}
"""What there is to be closed, by what fails at the start."""


class Fault(Exception):
    """Of one of the things that are opened."""


class Things:
    """All that the application opens, as recorders; any of them may fail.

    Parameters
    ----------
    at_start, at_close
        Names of those that fail then.
    """

    def __init__(self, at_start: str = "", at_close: str = "") -> None:
        self._at_start, self._at_close = at_start, at_close
        self.closed: list[str] = []
        self.limiter = SimpleNamespace(draining=False, leaving=False, close=self.close("limiter"))
        self.was_draining: bool | None = None
        self._stopped = asyncio.Event()

    def opened(self, name: str, made: Any) -> Callable[..., Any]:
        """Return what opens a thing, or fails to."""

        def open(*_: object, **__: object) -> Any:
            if name == self._at_start:
                raise Fault(name)
            return made

        return open

    def close(self, name: str) -> Callable[[], None]:
        """Return what closes a thing, and may then say that it failed."""

        def close() -> None:
            if self.was_draining is None:
                self.was_draining = self.limiter.draining
            self.closed.append(name)
            if name == self._at_close:
                raise Fault(name)

        return close

    def close_async(self, name: str) -> Callable[[], Any]:
        async def close() -> None:
            self.close(name)()

        return close

    async def look(self) -> None:
        """Look for new files, until stopped."""
        await self._stopped.wait()
        self.close("reloader")()

    def install(self, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
        """Put the things in the places of the real ones; returns those that are given."""
        inbox = SimpleNamespace(close=self.close("inbox"), reader=None)
        worker = SimpleNamespace(start=self.opened("worker", None), stop=self.close_async("worker"))
        reloader = SimpleNamespace(run=self.look, stop=self._stopped.set)
        models = SimpleNamespace(
            close=self.close("models"),
            reader=SimpleNamespace(buffers=None),
            find=lambda name: None,
        )
        replacements: dict[str, Callable[..., Any]] = {
            "open_models": self.opened("models", OpenModels((cast(Segmenter, object()),))),
            "served_models": lambda *_: models,
            "RequestLimiter": self.opened("limiter", self.limiter),
            "open_inbox": self.opened("inbox", inbox),
            "open_shadow": self.opened("shadow", SimpleNamespace(close=self.close("shadow"))),
            "InboxWorker": lambda *_: worker,
            "reloader_of": self.opened("reloader", reloader),
            "read_tables": lambda: None,
        }
        for name, opened in replacements.items():
            monkeypatch.setattr(service.app, name, opened)
        telemetry = {"metrics": None, "tracing": None, "close": self.close("telemetry")}
        return {
            "settings": Settings(),
            "segmenter": None,
            "inbox": None,
            "telemetry": SimpleNamespace(**telemetry),
            "access": SimpleNamespace(
                start=self.opened("access", None), close=self.close_async("access")
            ),
            "audit": SimpleNamespace(start=self.opened("audit", None), close=self.close("audit")),
        }


def run(things: Things, monkeypatch: pytest.MonkeyPatch, **given: Any) -> None:
    """Start an application and end it."""
    given = things.install(monkeypatch) | given

    async def start_and_end() -> None:
        app = FastAPI()
        async with _lifespan(app, **given):
            opened = services_of(app)
            assert opened is not None and not opened.limiter.draining
            assert opened.inbox_worker is not None and opened.reloader is not None
            # So that the reloader has begun.
            await asyncio.sleep(0)

    asyncio.run(start_and_end())


def test_all_is_closed_in_order_after_nothing_new_is_taken(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    things = Things()
    run(things, monkeypatch)
    assert tuple(things.closed) == CLOSED
    assert things.was_draining


@pytest.mark.parametrize("name", CLOSED)
def test_one_that_fails_to_close_keeps_no_other_from_it(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    things = Things(at_close=name)
    with pytest.raises(Fault, match=name):
        run(things, monkeypatch)
    assert tuple(things.closed) == CLOSED


@pytest.mark.parametrize("name", BEGUN)
def test_one_that_fails_at_the_start_leaves_nothing_open(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    things = Things(at_start=name)
    with pytest.raises(Fault, match=name):
        run(things, monkeypatch)
    assert tuple(things.closed) == tuple(each for each in CLOSED if each in BEGUN[name])


def test_an_inbox_that_was_given_is_closed_though_no_model_opens(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    things = Things(at_start="models")
    inbox = cast(Inbox, SimpleNamespace(close=things.close("inbox")))
    with pytest.raises(Fault, match="models"):
        run(things, monkeypatch, inbox=inbox)
    assert things.closed == ["inbox", "telemetry", "audit"]


@pytest.mark.parametrize("failing", ["first", "second", "shadow", "reader"])
def test_every_net_and_the_reader_are_closed_though_one_fails(failing: str) -> None:
    things = Things(at_close=failing)

    def segmenter(name: str) -> Segmenter:
        info = SimpleNamespace(device="cpu", provider="p", setup="s")
        net = SimpleNamespace(
            close=things.close(name), model_info=info, listen=lambda listener: None
        )
        model = SimpleNamespace(id=name, name=name, version="1", sha256=name)
        reader = SimpleNamespace(close=things.close("reader"), waiting=0)
        return cast(
            Segmenter,
            SimpleNamespace(net=cast(Net, net), reader=cast(Reader, reader), model=model),
        )

    names = ("first", "second", "shadow")
    opened = [segmenter(name) for name in names]
    with pytest.raises(Fault, match=failing):
        OpenModels(tuple(opened[:2]), opened[2]).close()
    assert things.closed == [*names, "reader"]
    things.closed.clear()
    served = [
        ServedModel(Path("/none.onnx"), each, lambda one: cast(Any, SimpleNamespace(segmenter=one)))
        for each in opened
    ]
    with pytest.raises(Fault, match=failing):
        ServedModels(served[:2], served[2], Metrics()).close()
    assert things.closed == [*names, "reader"]
