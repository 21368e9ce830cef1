"""The readers that the settings ask for."""

from service.reading import Workers
from service.settings import Settings


def open_readers(settings: Settings) -> Workers:
    """Start them.

    Raises
    ------
    DeviceError
        They do not start on this machine.
    """
    return Workers(
        count=settings.memory.readers,
        limits=settings.read_limits(),
        memory_mib=settings.memory.reader_mib,
        deadline_s=settings.reader_deadline_s,
        lent_bytes=settings.memory.lent_mib << 20,
    )
