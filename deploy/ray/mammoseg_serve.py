"""The service as a Ray Serve application: the same routes, answered by replicas on many machines.

`serve deploy deploy/ray/serve.yaml`; see README.md. There is no second implementation of anything:
each replica holds the application that `mammoseg serve` runs.
"""

import ray
from fastapi import FastAPI
from ray import serve

from service.app import create_app
from service.errors import StartupError
from service.logs import configure_logs
from service.services import services_of
from service.settings import Settings


class ReplicaFailed(Exception):
    """A replica does not segment any more; Ray Serve starts another in its place."""


def replica_settings(settings: Settings, cpus: float, gpus: float) -> Settings:
    """Return the settings of a replica, for its share of a machine.

    Ray's proxy may listen anywhere, and a replica is not told where. So it asks for keys or for
    MAMMOSEG_ALLOW_ANONYMOUS=true, as on every address but the loopback.

    Raises
    ------
    StartupError
        An inbox is configured, of which there can be one alone.
    """
    if settings.destinations:
        raise StartupError(
            "replicas have no inbox: run `mammoseg serve` apart with MAMMOSEG_DESTINATIONS"
        )
    return settings.model_copy(update={"host": "0.0.0.0"}).of_share(max(1, int(cpus)), gpus)  # noqa: S104


def build() -> FastAPI:
    """Build the application in a replica, with what Ray gives to it."""
    share = ray.get_runtime_context().get_assigned_resources()
    settings = replica_settings(Settings(), share.get("CPU", 1), share.get("GPU", 0))
    configure_logs(settings.log_level, settings.log_format)
    return create_app(settings)


@serve.deployment
@serve.ingress(build)
class Mammograms:
    """A replica."""

    app: FastAPI

    def check_health(self) -> None:
        """Raise where the device failed for good, as `/health/ready` says, too."""
        opened = services_of(self.app)
        if opened is not None and opened.segmenter.net.failed:
            raise ReplicaFailed("device-failed")


application = Mammograms.bind()
