"""Looks whether models or their cards were replaced, and puts the new ones to work."""

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import structlog

from service.errors import StartupError
from service.inference.model_file import ModelFile
from service.inference.net import Net
from service.inference.signature_path import signature_path
from service.logs import where
from service.segmenter import Segmenter
from service.serving.served_model import ServedModel, card_paths
from service.serving.served_models import ServedModels
from service.system.file_watch import FileWatch

log = structlog.get_logger("mammoseg")

LOOK_S = 1.0
"""Between two looks at the files."""

RETRY_S = 10.0
"""Between two tries to read a file that could not be read, whether or not its state has changed."""


@dataclass(frozen=True, slots=True)
class Opener:
    """How a file becomes a net beside others that work.

    Attributes
    ----------
    read
        Reads a file, and checks its signature where one is asked for.
    prove
        Proves it where it can do no harm.
    open
        Opens it on the device beside the net that works, and proves it there.
    """

    read: Callable[[ServedModel], ModelFile]
    prove: Callable[[ModelFile, Callable[[], bool]], None]
    open: Callable[[ModelFile, Net], Net]


@dataclass(slots=True, eq=False)
class _Watched:
    model: ServedModel
    watch: FileWatch
    changed: bool = True
    """At first: the file may have been replaced between its opening and the first look."""
    unread: str = ""
    """Why the file could not be read at the last try, as the log was told."""
    retry_at: float = 0.0


@dataclass(slots=True, eq=False)
class Reloader:
    """Replaces models by the files that lie in their places now.

    A file counts once it has not changed for two seconds, so that one that is being copied is not
    read by half; asked by a signal, at once.

    Attributes
    ----------
    models
        Those that are watched.
    opener
        Opens new files.
    """

    models: ServedModels
    opener: Opener
    _asked: asyncio.Event = field(default_factory=asyncio.Event)
    _stopped: bool = False
    _watched: list[_Watched] = field(init=False)

    def __post_init__(self) -> None:
        self._watched = [
            _Watched(model, FileWatch(_files_of(model.path))) for model in self.models.all
        ]

    def ask(self) -> None:
        """Look at every file now; on the event loop's thread."""
        for each in self._watched:
            each.changed = True
        self._asked.set()

    async def run(self) -> None:
        """Look until stopped."""
        while not self._stopped:
            due = [each for each in self._watched if self._is_due(each)]
            self._asked.clear()
            for each in due:
                each.unread = await asyncio.to_thread(self.reload, each.model, each.unread)
                each.retry_at = time.monotonic() + RETRY_S
            if not self._stopped:
                await self._pause()

    def stop(self) -> None:
        """Begin nothing new."""
        self._stopped = True
        self._asked.set()

    def reload(self, model: ServedModel, told: str = "") -> str:
        """Put a model's file to work, if it is another than the one that works; never raises.

        Of the one that works, the card is read anew.

        Parameters
        ----------
        model
            Whose.
        told
            Why the file could not be read at the last try; the same is not said again.

        Returns
        -------
        str
            Why the file could not be read, so that it may be tried again; else nothing.
        """
        try:
            file = self.opener.read(model)
        except StartupError as error:
            if str(error) != told:
                self._refused(model, reason=str(error))
            # Of a file that was read, its bytes were refused, and they stay the same.
            return str(error) if isinstance(error.__cause__, OSError) else ""
        except Exception as error:
            self._refused(model, reason=type(error).__name__, at=where(error))
            return ""
        self._prove_and_open(model, file)
        return ""

    def _prove_and_open(self, model: ServedModel, file: ModelFile) -> None:
        try:
            if file.sha256 == model.segmenter.model.sha256:
                # Beside any other file, a card is not that of the model that works.
                if model.read_card():
                    log.info("model-card-replaced", model=model.id, sha256=file.sha256)
                return
            self.opener.prove(file, lambda: self._stopped)
            net = self.opener.open(file, model.segmenter.net)
            self._put_to_work(model, file, net)
        except StartupError as error:
            self._refused(model, reason=str(error))
        except Exception as error:
            self._refused(model, reason=type(error).__name__, at=where(error))

    def _put_to_work(self, model: ServedModel, file: ModelFile, net: Net) -> None:
        before = model.segmenter.model
        model.replace(Segmenter(net, model.segmenter.reader))
        log.info(
            "model-replaced",
            model=model.id,
            version=model.segmenter.model.version,
            sha256=file.sha256,
            before=before.sha256,
        )
        self.models.replaced(model)
        self._count(model, "replaced")

    def _refused(self, model: ServedModel, **why: object) -> None:
        log.error("model-refused", model=model.id, **why)
        self._count(model, "refused")

    def _count(self, model: ServedModel, outcome: str) -> None:
        model.metrics.model_replacements.labels(model.id, outcome).inc()

    def _is_due(self, each: _Watched) -> bool:
        look = each.watch.look()
        asked = each.changed and self._asked.is_set()
        if look.has_changed or asked:
            each.unread = ""
        each.changed |= look.has_changed
        each.changed |= bool(each.unread) and time.monotonic() >= each.retry_at
        if not each.changed or not (asked or not look.is_due):
            return False
        each.changed = False
        return True

    async def _pause(self) -> None:
        try:
            await asyncio.wait_for(self._asked.wait(), LOOK_S)
        except TimeoutError:
            return


def _files_of(path: Path) -> tuple[Path, ...]:
    """Return what belongs to a model: its file, its signature, its card."""
    return (path, signature_path(path), *card_paths(path))
