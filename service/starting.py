"""From settings to what serves models: their names, who replaces them, the one in the shadow."""

from functools import partial

from service.capacity.limiter import RequestLimiter
from service.capacity.plan import MODEL_MIB, RUNNER_MIB
from service.inference.model_file import ModelFile
from service.loading import open_beside, read_signed
from service.serving.proving import PROVING_MIB, prove
from service.serving.reloader import Opener, Reloader
from service.serving.served_model import ServedModel
from service.serving.served_models import OpenModels, ServedModels
from service.serving.shadow import Shadow
from service.settings import Settings
from service.telemetry.opening import Telemetry


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

    # First the process that proves, then the net beside the old one.
    mib = max(PROVING_MIB, MODEL_MIB + settings.runners * RUNNER_MIB)
    opener = Opener(read, prove, partial(open_beside, settings), partial(limiter.memory, mib))
    return Reloader(models, opener)
