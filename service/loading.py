"""Opening a model on a device, alone or behind a segmenter."""

from pathlib import Path

import structlog

from service.imaging.reader import ReadLimits
from service.inference.autotune import open_fastest
from service.inference.device import Device, Gpu, resolve_device
from service.inference.memory_bound import memory_to_open
from service.inference.scheduler import TileScheduler
from service.inference.session import Session
from service.models import BUNDLED_MODEL
from service.reading.pool import ReaderPool
from service.reading.reader import InProcess, Reader
from service.segmenter import Segmenter
from service.settings import Settings

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
    cpu 0.4

    `segmenter.segment` then takes a file's bytes: see `Segmenter`.
    """
    net = open_net(model, device=device, gpu=gpu, runners=runners)
    return Segmenter(net, reader or InProcess(ReadLimits()))


def open_net(
    model: Path = BUNDLED_MODEL,
    *,
    device: Device = "cpu",
    gpu: Gpu | None = None,
    runners: int = 1,
) -> TileScheduler:
    """Load a model, prove it on the device with its golden tile, and warm it.

    Parameters
    ----------
    model
        An ONNX file.
    device, gpu
        Where it runs, and what it may take there.
    runners
        Tiles run at once on a CPU, one core each; a GPU always has one owner.

    Raises
    ------
    ContractError, DeviceError
        The model or the device is not fit to serve.
    """
    if device != "cpu":
        return TileScheduler(open_fastest(model, device, gpu or Gpu()))
    with memory_to_open(2 * runners):
        wide = Session.open(model, threads=runners) if runners > 1 else None
        return TileScheduler(Session.open(model), runners=runners, wide=wide)


def open_segmenter(settings: Settings) -> Segmenter:
    """Open the configured model behind readers in processes of their own.

    Raises
    ------
    StartupError
        Model, device or readers are not fit to serve.
    """
    reader = ReaderPool(settings.reader_options())
    try:
        return Segmenter(_open_served(settings), reader)
    except BaseException:
        reader.close()
        raise


def _open_served(settings: Settings) -> TileScheduler:
    """Open the configured model on the configured device.

    Raises
    ------
    StartupError
        They are not fit to serve.
    """
    net = open_net(
        settings.model or BUNDLED_MODEL,
        device=resolve_device(settings.device),
        gpu=settings.gpu(),
        runners=settings.runners,
    )
    model_info = net.model_info
    log.info(
        "model-ready",
        device=model_info.device,
        setup=model_info.setup,
        model=model_info.contract.name,
        sha256=model_info.sha256,
    )
    return net
