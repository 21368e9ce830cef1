"""Every model that answers, the shadow beside them, and who puts new files in their places."""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Literal, Protocol

from service import __version__
from service.errors import UnknownModel
from service.metrics import Metrics
from service.reading.reader import Reader
from service.segmenter import Segmenter
from service.serving.served_model import ServedModel
from service.telemetry.watching import watch_runs

Role = Literal["default", "served", "shadow"]
"""What a model is there for: to answer whoever names none, to answer who names it, or to be
compared with the default one."""


class Closable(Protocol):
    """What is closed in the end."""

    def close(self) -> None:
        """Close it."""


@dataclass(frozen=True, slots=True)
class OpenModels:
    """Segmenters that were opened for the service; they share a reader.

    Attributes
    ----------
    served
        Those that answer, the default first.
    shadow
        The one that does not; None without one.
    """

    served: tuple[Segmenter, ...]
    shadow: Segmenter | None = None

    @property
    def reader(self) -> Reader:
        """Theirs."""
        return self.served[0].reader

    def roles(self) -> Iterator[tuple[Segmenter, Role]]:
        """Yield each segmenter with what it is there for."""
        for index, segmenter in enumerate(self.served):
            yield segmenter, "served" if index else "default"
        if self.shadow is not None:
            yield self.shadow, "shadow"

    def close(self) -> None:
        """Close all nets, and the reader."""
        _close_all([*(segmenter.net for segmenter, _ in self.roles()), self.reader])


class ServedModels:
    """The models by their names.

    Parameters
    ----------
    served
        Those that answer, the default first.
    shadow
        The one that is only compared; None without one.
    metrics
        Where it is told which models these are.
    """

    def __init__(
        self, served: Sequence[ServedModel], shadow: ServedModel | None, metrics: Metrics
    ) -> None:
        self._served, self.shadow = {model.id: model for model in served}, shadow
        self.default = served[0]
        self._metrics = metrics
        reader = self.reader
        metrics.watch_net(lambda: self.tiles_waiting, lambda: self.net_seconds)
        metrics.watch_readers(lambda: reader.waiting)
        metrics.tell_of_build(__version__)
        for model in self.all:
            watch_runs(model.segmenter.net, metrics)
        self.tell()

    @property
    def all(self) -> tuple[ServedModel, ...]:
        """All of them, the default first, the shadow last."""
        return (*self._served.values(), *filter(None, (self.shadow,)))

    @property
    def reader(self) -> Reader:
        """What turns files into mammograms, for all of them."""
        return self.default.segmenter.reader

    @property
    def failed(self) -> bool:
        """Whether the device failed for good, for any of them."""
        return any(model.failed for model in self.all)

    @property
    def tiles_waiting(self) -> int:
        """How many tiles no runner has taken."""
        return sum(model.tiles_waiting for model in self.all)

    @property
    def net_seconds(self) -> float:
        """CPU time inside the nets since the start, those of replaced files included."""
        return sum(model.net_seconds for model in self.all)

    def find(self, id: str | None) -> ServedModel:
        """Return the model of a name; the default one for None.

        Raises
        ------
        UnknownModel
            There is none.
        """
        if id is None:
            return self.default
        if (model := self._served.get(id)) is None:
            raise UnknownModel
        return model

    def roles(self) -> Iterator[tuple[ServedModel, Role]]:
        """Yield each model with what it is there for."""
        for model in self._served.values():
            yield model, "default" if model is self.default else "served"
        if self.shadow is not None:
            yield self.shadow, "shadow"

    def tell(self) -> None:
        """Show in the metrics which files work now."""
        self._metrics.tell_of_models([_labels(model, role) for model, role in self.roles()])

    def replaced(self, model: ServedModel) -> None:
        """Take note that a model's file was replaced."""
        watch_runs(model.segmenter.net, self._metrics)
        self.tell()

    def close(self) -> None:
        """Answer what waits, then stop."""
        _close_all([*self.all, self.reader])


def _close_all(things: Sequence[Closable]) -> None:
    """Close one after the other; one that fails keeps no other from it."""
    with ExitStack() as stack:
        for thing in reversed(things):
            stack.callback(thing.close)


def _labels(model: ServedModel, role: Role) -> dict[str, str]:
    identity, info = model.segmenter.model, model.segmenter.net.model_info
    return {
        "id": model.id,
        "role": role,
        "name": identity.name,
        "version": identity.version,
        "sha256": identity.sha256,
        "device": info.device,
        "provider": info.provider,
        "setup": info.setup,
    }
