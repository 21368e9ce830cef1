"""Programs that speak DICOM to `mammoseg scp`."""

import subprocess

from service.inbox.scp import StoreScp
from service.settings import Settings
from tests.programs import require_program


def changed(settings: Settings, **changes: object) -> Settings:
    return Settings.model_validate(settings.model_dump() | {"scp_port": 0} | changes)


def echo(scp: StoreScp, *options: str) -> bool:
    """Say whether echoscu of dcmtk gets its answer."""
    program = require_program("echoscu", "dcmtk")
    command = [program, *options, "127.0.0.1", str(scp.port)]
    return subprocess.run(command, capture_output=True, timeout=120).returncode == 0
