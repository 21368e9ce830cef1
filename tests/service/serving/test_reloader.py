"""What lies beside a new file, or goes wrong with one, keeps no later file from being taken."""

import asyncio
import errno
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from service.errors import ContractError
from service.inference.model_file import ModelFile
from service.metrics import Metrics
from service.segmenter import Segmenter
from service.serving import reloader as module
from service.serving.reloader import Opener, Reloader
from service.serving.served_model import ServedModel
from service.serving.served_models import ServedModels
from service.telemetry.observed import ObservedSegmenter
from tests.waiting import HANG_S

pytestmark = pytest.mark.unit


class Net:
    """A net that answers nobody, and says how long it ran."""

    def __init__(self, seconds: float = 0.0, version: str = "1") -> None:
        self.net_seconds, self.waiting, self.failed, self.closed = seconds, 0, False, False
        self.version = version

    def close(self) -> None:
        self.closed = True


def segmenter(net: Any, reader: Any = None) -> Segmenter:
    identity = SimpleNamespace(id="m", version=net.version, sha256=net.version)
    return cast(Segmenter, SimpleNamespace(net=net, reader=reader, model=identity))


def served(path: Path, net: Net, metrics: Metrics) -> ServedModel:
    return ServedModel(
        path,
        segmenter(net),
        lambda one: cast(ObservedSegmenter, SimpleNamespace(segmenter=one, metrics=metrics)),
    )


class Place:
    """A model's place, in which a file's text is its version."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(module, "Segmenter", segmenter)
        monkeypatch.setattr(module, "LOOK_S", 0.01)
        self.metrics = Metrics()
        self.path, self.card = folder / "m.onnx", folder / "m.md"
        self.path.write_text("1")
        self.model = served(self.path, Net(), self.metrics)
        self.told: list[str] = []
        models = SimpleNamespace(all=(self.model,), replaced=self.replaced)
        opener = Opener(
            read=lambda model: cast(ModelFile, SimpleNamespace(sha256=self.path.read_text())),
            prove=lambda file, ends: None,
            open=lambda file, working: cast(Any, Net(version=file.sha256)),
        )
        self.reloader = Reloader(cast(ServedModels, models), opener)

    def replaced(self, model: ServedModel) -> None:
        self.told.append(model.segmenter.model.version)
        if self.told[-1] == "fails":
            raise RuntimeError("of the metrics")

    def reload(self, version: str) -> str:
        """Put a file there, and return the version that serves then."""
        self.path.write_text(version)
        self.reloader.reload(self.model)
        return self.model.segmenter.model.version


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Place:
    return Place(tmp_path, monkeypatch)


def test_a_card_that_is_no_utf_8_is_shown_as_far_as_it_can_be(place: Place) -> None:
    place.card.write_bytes("# Netz für Mammographie".encode("latin-1"))
    assert place.reload("2") == "2"
    assert place.model.card == "# Netz f\N{REPLACEMENT CHARACTER}r Mammographie"


def test_a_card_that_comes_after_its_model_is_read_without_another_proof(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("service.system.file_watch.SETTLED_NS", 0)
    proofs: list[str] = []
    prove = lambda file, ends: proofs.append(file.sha256)  # noqa: E731
    place.reloader.opener = replace(place.reloader.opener, prove=prove)
    place.card.write_text("# of the first")
    assert place.reload("2") == "2"

    async def look() -> None:
        task = asyncio.create_task(place.reloader.run())
        for card in ("# of the second", None):
            await asyncio.sleep(0.05)
            place.card.unlink() if card is None else place.card.write_text(card)
            async with asyncio.timeout(HANG_S):
                while place.model.card != card:
                    await asyncio.sleep(0.01)
        place.reloader.stop()
        await task

    asyncio.run(look())
    assert proofs == ["2"]


def test_a_card_beside_a_file_that_was_refused_is_not_shown_for_the_one_that_works(
    place: Place,
) -> None:
    def refuse(*_: object) -> None:
        raise ContractError("no model")

    place.card.write_text("# of the first")
    assert place.reload("1") == "1"
    place.reloader.opener = replace(place.reloader.opener, prove=refuse)
    place.card.write_text("# of the second")
    assert place.reload("2") == "1"
    assert place.model.card == "# of the first"


def test_a_card_that_cannot_be_read_is_none(
    place: Place, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    place.card.write_text("# Card")

    def refuse(*_: object, **__: object) -> str:
        raise PermissionError("of /home/ERIKA")

    monkeypatch.setattr(Path, "read_text", refuse)
    model = served(place.path, Net(), place.metrics)
    assert model.card is None
    written = "".join(capsys.readouterr())
    assert "model-card-unreadable" in written and "ERIKA" not in written


def test_whatever_fails_a_later_file_is_taken(place: Place) -> None:
    assert place.reload("fails") == "fails"
    assert place.reload("2") == "2"
    count = place.metrics.registry.get_sample_value
    labels = {"model": "m", "outcome": "refused"}
    assert count("mammoseg_model_replacements_total", labels) == 1


def test_looking_goes_on_after_a_fault(place: Place) -> None:
    async def look() -> None:
        task = asyncio.create_task(place.reloader.run())
        for version in ("fails", "2"):
            place.path.write_text(version)
            place.reloader.ask()
            async with asyncio.timeout(HANG_S):
                while version not in place.told:
                    await asyncio.sleep(0.01)
        place.reloader.stop()
        await task

    asyncio.run(look())
    assert place.model.segmenter.model.version == "2"


def test_a_file_that_could_not_be_read_is_tried_again_and_refused_once(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("service.system.file_watch.SETTLED_NS", 0)
    monkeypatch.setattr(module, "RETRY_S", 0.02)
    read, tries = place.reloader.opener.read, 0

    def fail_at_first(model: ServedModel) -> ModelFile:
        nonlocal tries
        tries += 1
        if tries < 4:
            raise ContractError("cannot read the model file") from OSError(errno.ESTALE, "stale")
        return read(model)

    place.reloader.opener = replace(place.reloader.opener, read=fail_at_first)
    place.path.write_text("2")
    assert version_of(place, wanted="2") == "2"
    assert (tries, refusals(place)) == (4, 1)


def test_a_file_that_was_read_and_refused_is_not_tried_again(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("service.system.file_watch.SETTLED_NS", 0)
    monkeypatch.setattr(module, "RETRY_S", 0.02)
    tries = 0

    def refuse(_: ServedModel) -> ModelFile:
        nonlocal tries
        tries += 1
        raise ContractError("it is not an ONNX model")

    place.reloader.opener = replace(place.reloader.opener, read=refuse)
    assert version_of(place, wanted="2", wait_s=0.3) == "1"
    assert (tries, refusals(place)) == (1, 1)


def version_of(place: Place, wanted: str, wait_s: float = HANG_S) -> str:
    """Look at the files until a version serves or the time is over; return what serves."""

    async def look() -> None:
        task = asyncio.create_task(place.reloader.run())
        with suppress(TimeoutError):
            async with asyncio.timeout(wait_s):
                while wanted not in place.told:
                    await asyncio.sleep(0.01)
        place.reloader.stop()
        await task

    asyncio.run(look())
    return place.model.segmenter.model.version


def refusals(place: Place) -> float | None:
    labels = {"model": "m", "outcome": "refused"}
    return place.metrics.registry.get_sample_value("mammoseg_model_replacements_total", labels)


def test_time_in_the_net_never_falls_while_versions_come_and_go(tmp_path: Path) -> None:
    model = served(tmp_path / "m.onnx", Net(1000.0), Metrics())
    with model.version() as held:
        model.replace(segmenter(Net(3.0)))
        assert model.net_seconds == 1003.0
        cast(Net, held.segmenter.net).net_seconds += 10.0
        assert model.net_seconds == 1013.0
    assert model.net_seconds == 1013.0
    model.replace(segmenter(Net(5.0)))
    assert model.net_seconds == 1018.0


def test_what_a_replaced_version_still_does_is_seen(tmp_path: Path) -> None:
    old, new = Net(), Net()
    model = served(tmp_path / "m.onnx", old, Metrics())
    with model.version():
        model.replace(segmenter(new))
        old.waiting, new.waiting = 5, 2
        assert (model.tiles_waiting, model.failed) == (7, False)
        old.failed = True
        assert model.failed
    assert (old.closed, new.closed) == (True, False)
    assert (model.tiles_waiting, model.failed) == (2, False)
