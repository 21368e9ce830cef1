"""Opening a model on a device, alone or behind a segmenter."""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path

import structlog

from service.errors import StartupError
from service.imaging.reader import ReadLimits
from service.inference.autotune import open_fastest
from service.inference.device import Device, Gpu, resolve_device
from service.inference.memory_bound import memory_to_open
from service.inference.model_file import ModelFile
from service.inference.net import Net
from service.inference.scheduler import TileScheduler
from service.inference.session import Session
from service.models import BUNDLED_MODEL
from service.reading.pool import ReaderPool
from service.reading.reader import InProcess, Reader
from service.segmenter import Segmenter
from service.serving.served_models import OpenModels
from service.settings import Settings
from service.system.process_limits import LACK_OF_THREADS, is_lack_of_threads

log = structlog.get_logger("mammoseg")


def open_model(
    model: Path = BUNDLED_MODEL,
    *,
    device: Device = "cpu",
    gpu: Gpu | None = None,
    runners: int = 1,
    reader: Reader | None = None,
) -> Segmenter:
    """Open a segmenter; other parameters as of `open_net`.

    Parameters
    ----------
    reader
        One that reads in this process when None.

    Raises
    ------
    ContractError, DeviceError
        The model or the device is not fit to serve.

    Examples
    --------
    The bundled model, on the CPU:

    >>> with open_model() as segmenter:
    ...     print(segmenter.device, segmenter.contract.spacing.working_mm)
    cpu 0.3

    `segmenter.segment` then takes a file's bytes: see `Segmenter`.
    """
    net = open_net(model, device=device, gpu=gpu, runners=runners)
    return Segmenter(net, reader or InProcess(ReadLimits()))


def open_net(
    model: Path | ModelFile = BUNDLED_MODEL,
    *,
    device: Device = "cpu",
    gpu: Gpu | None = None,
    runners: int = 1,
    bounded: bool = True,
) -> TileScheduler:
    """Load a model, prove it on the device with its golden tile, and warm it.

    Parameters
    ----------
    model
        An ONNX file, or what was read of it.
    device, gpu
        Where it runs, and what it may take there.
    runners
        Tiles run at once on a CPU, one core each; a GPU always has one owner.
    bounded
        Bound this process's memory meanwhile, on a CPU.

    Raises
    ------
    ContractError, DeviceError
        The model or the device is not fit to serve.
    """
    if device != "cpu":
        return TileScheduler(open_fastest(model, device, gpu or Gpu()))
    # Read once: both sessions are of the same bytes.
    file = model if isinstance(model, ModelFile) else ModelFile.read(model)
    with memory_to_open(2 * runners) if bounded else nullcontext():
        wide = Session.open(file, threads=runners) if runners > 1 else None
        return TileScheduler(Session.open(file), runners=runners, wide=wide)


def open_segmenter(settings: Settings) -> Segmenter:
    """Open the configured model, of several the default one, behind readers of its own.

    Raises
    ------
    StartupError
        Model, device or readers are not fit to serve.
    """
    (segmenter,) = _open_behind_readers(settings, settings.model_paths[:1])
    return segmenter


def open_models(settings: Settings) -> OpenModels:
    """Open every configured model, and the shadow, behind readers that they share.

    Raises
    ------
    StartupError
        A model, the device or the readers are not fit to serve.
    """
    shadows = () if settings.shadow is None else (settings.shadow,)
    segmenters = _open_behind_readers(settings, (*settings.model_paths, *shadows))
    shadow = segmenters.pop() if shadows else None
    return OpenModels(tuple(segmenters), shadow)


@contextmanager
def models_opening(settings: Settings) -> Iterator[Callable[[], OpenModels]]:
    """Open the models on a thread of their own while in the context, whose end waits for them.

    Their first runs leave this process's interpreter alone for two seconds: whatever else is to be
    imported is imported meanwhile.

    Yields
    ------
    Callable[[], OpenModels]
        Waits for them, and returns them or raises as `open_models` does. Where the context is left
        by an exception they are closed, or what was wrong with them is raised in its place.
    """
    with ThreadPoolExecutor(1, "open-models") as thread:
        opened = thread.submit(open_models, settings)
        try:
            yield opened.result
        except BaseException:
            # What ails a model outranks it: the bound on its memory holds for imports, too.
            opened.result().close()
            raise


def _open_behind_readers(settings: Settings, paths: Sequence[Path]) -> list[Segmenter]:
    nets: list[TileScheduler] = []
    with threads_or_startup_error():
        # They load their decoders while the models are opened.
        reader = ReaderPool(settings.reader_options())
        try:
            nets += (_open_served(settings, path) for path in paths)
            reader.wait_until_ready()
        except BaseException:
            for net in nets:
                net.close()
            reader.close()
            raise
    return [Segmenter(net, reader) for net in nets]


@contextmanager
def threads_or_startup_error() -> Iterator[None]:
    """Say in words where the system lets no further thread be started in the context.

    Raises
    ------
    StartupError
        So it is; it may pass.
    """
    try:
        yield
    except RuntimeError as error:
        if not is_lack_of_threads(error):
            raise
        raise StartupError(LACK_OF_THREADS, may_pass=True) from error


def read_signed(settings: Settings, path: Path) -> ModelFile:
    """Read a model file, and check its signature where the settings ask for one.

    Raises
    ------
    ContractError, SignatureError
        It is no model, or not signed by one of the keys.
    """
    if not settings.model_key:
        return ModelFile.read(path)
    # It takes 10 MiB.
    from service.inference.signature import PublicKey

    # Anew for each file: so keys can be changed while the service runs.
    return ModelFile.read(path, [PublicKey.read(key) for key in settings.model_key])


def open_beside(settings: Settings, file: ModelFile, working: Net) -> TileScheduler:
    """Open a file that is proven already, while another answers.

    On a CPU one runner of that rests meanwhile, so that not more tiles are run at once than ever.
    This process's memory is not bounded meanwhile: the others' would be, too.

    Raises
    ------
    StartupError
        It is not fit to serve on the device.
    """
    device = resolve_device(settings.device)
    rests: AbstractContextManager[None] = nullcontext()
    if device == "cpu" and isinstance(working, TileScheduler):
        rests = working.one_runner_less()
    with threads_or_startup_error(), rests:
        return open_net(
            file,
            device=device,
            gpu=settings.gpu(),
            runners=_runners(settings, file.path),
            bounded=False,
        )


def _runners(settings: Settings, path: Path) -> int:
    """Return how many tiles of a model run at once; the shadow's come one by one."""
    return 1 if path == settings.shadow else settings.runners


def _open_served(settings: Settings, path: Path) -> TileScheduler:
    """Open a configured model on the configured device.

    Raises
    ------
    StartupError
        They are not fit to serve.
    """
    net = open_net(
        read_signed(settings, path),
        device=resolve_device(settings.device),
        gpu=settings.gpu(),
        runners=_runners(settings, path),
    )
    model_info = net.model_info
    log.info(
        "model-ready",
        device=model_info.device,
        setup=model_info.setup,
        id=model_info.id,
        model=model_info.contract.name,
        sha256=model_info.sha256,
    )
    return net
