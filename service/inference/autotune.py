"""A model opened on a GPU in the way that this machine proves right and measures fastest."""

from pathlib import Path

from service.inference import cuda, tensorrt
from service.inference.batching import BATCH_SIZES
from service.inference.device import Device, Gpu
from service.inference.model_file import ModelFile
from service.inference.provider_setup import ProviderSetup, choose
from service.inference.session import Session
from service.inference.warmup import seconds_a_run


def open_fastest(model: Path | ModelFile, device: Device, gpu: Gpu) -> Session:
    """Open a model on a GPU.

    Setups are tried one after the other, each closed before the next, so that the device's memory
    is never taken twice; the chosen one is then opened anew.

    Raises
    ------
    ContractError
        The file is not fit to serve, on whatever device.
    DeviceError
        The device does not work; the message names what is missing.
    """
    # Each way opens the same bytes.
    file = model if isinstance(model, ModelFile) else ModelFile.read(model)
    plain = Session.open(file)
    sizes = BATCH_SIZES[device]
    setups = (
        tensorrt.setups(gpu, plain.contract, plain.sha256, sizes)
        if device == "tensorrt"
        else cuda.setups(gpu)
    )

    if not gpu.autotune:
        return Session.open(file, setup=setups[0])

    def attempt(setup: ProviderSetup) -> float:
        return seconds_a_run(Session.open(file, setup=setup), sizes[-1])

    return Session.open(file, setup=choose(setups, attempt))
