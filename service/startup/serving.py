"""From settings to what serves models: their names, who replaces them, the one in the shadow."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import structlog

from service.capacity.limiter import RequestLimiter
from service.capacity.plan import opening_mib
from service.inference.model_file import ModelFile
from service.inference.net import Net
from service.serving.proving import PROVING_MIB, prove
from service.serving.reloader import Opener, Reloader
from service.serving.served_model import ServedModel
from service.serving.served_models import OpenModels, ServedModels
from service.serving.shadow import Shadow
from service.settings import Settings
from service.startup.models import open_beside, read_signed
from service.system.heap import give_back
from service.telemetry.opening import Telemetry

log = structlog.get_logger("mammoseg")


def served_models(settings: Settings, opened: OpenModels, telemetry: Telemetry) -> ServedModels:
    """Return the open models by their names, watched."""
    served = [
        ServedModel(path, segmenter, telemetry.observed)
        for path, segmenter in zip(settings.model_paths, opened.served, strict=False)
    ]
    shadow = None
    if opened.shadow is not None and settings.shadow is not None:
        # What it finds is counted apart: see `Shadow`.
        shadow = ServedModel(settings.shadow, opened.shadow, telemetry.observed)
    return ServedModels(served, shadow, telemetry.metrics)


def open_shadow(
    settings: Settings, models: ServedModels, limiter: RequestLimiter, telemetry: Telemetry
) -> Shadow | None:
    """Return who judges a share of the images beside the default model; None without one."""
    if models.shadow is None:
        return None
    return Shadow(
        models.shadow,
        models.default,
        settings.shadow_share,
        is_idle=lambda: limiter.is_idle,
        metrics=telemetry.metrics,
        pseudonyms=telemetry.pseudonyms,
        inference_log=telemetry.inference_log,
    )


def reloader_of(settings: Settings, models: ServedModels, limiter: RequestLimiter) -> Reloader:
    """Return who puts new files of the models to work."""

    def read(model: ServedModel) -> ModelFile:
        return read_signed(settings, model.path)

    def prove_alone(file: ModelFile, ends: Callable[[], bool]) -> None:
        with _lent(limiter, settings, PROVING_MIB):
            prove(file, ends)

    def open_beside_it(file: ModelFile, working: Net) -> Net:
        with _lent(limiter, settings, opening_mib(len(file.content))):
            return open_beside(settings, file, working)

    return Reloader(models, Opener(read, prove_alone, open_beside_it))


@contextmanager
def _lent(limiter: RequestLimiter, settings: Settings, mib: int) -> Iterator[None]:
    """Hold of the images' memory what something else takes, only while it does."""
    if mib > settings.memory.pixels_mib:
        log.warning("memory-too-small", needed_mib=mib, pixels_mib=settings.memory.pixels_mib)
    try:
        with limiter.memory(mib):
            yield
    finally:
        give_back()
