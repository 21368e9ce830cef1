"""A real Orthanc with its DICOMweb plug-in, on free loopback ports, for as long as a test needs it.

Debian packages `orthanc` and `orthanc-dicomweb`. Everything it keeps lies in the test's folder.
"""

import json
import subprocess
from base64 import b64encode
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from service.system.server_process import wait_until_ready
from tests import http_client
from tests.ports import free_port
from tests.programs import require_program

DICOMWEB_PLUGIN = Path("/usr/share/orthanc/plugins/libOrthancDicomWeb.so")
AET = "ORTHANC"


@dataclass(frozen=True, slots=True)
class Orthanc:
    """A running server.

    Attributes
    ----------
    url
        Of its REST API, with name and password where it has a registered user.
    dicomweb
        Of its DICOMweb services; STOW-RS goes to `<dicomweb>/studies`.
    dicom_port
        Of C-STORE and C-ECHO on 127.0.0.1, to the AE title `AET`.
    folder
        Where its log, configuration and storage lie.
    process
        The server's.
    """

    url: str
    dicomweb: str
    dicom_port: int
    folder: Path
    process: "subprocess.Popen[bytes]"

    def get(self, path: str) -> Any:
        """Return the JSON at a path of the REST API."""
        return (
            http_client.get(f"{self.url}/{path.lstrip('/')}", timeout=30).raise_for_status().json()
        )

    def post(self, path: str, body: object) -> Any:
        """POST JSON to a path of the REST API and give the JSON of the answer."""
        answer = http_client.post(f"{self.url}/{path.lstrip('/')}", json=body, timeout=60)
        return answer.raise_for_status().json()

    def delete(self, path: str) -> None:
        """DELETE what is at a path of the REST API."""
        url = f"{self.url}/{path.lstrip('/')}"
        http_client.request("DELETE", url, timeout=60).raise_for_status()

    def store(self, file: bytes) -> str:
        """Put a DICOM file in over REST; returns Orthanc's own id of it."""
        answer = http_client.post(
            f"{self.url}/instances", content=file, timeout=60
        ).raise_for_status()
        return str(answer.json()["ID"])

    def file(self, instance: str) -> bytes:
        """Return the DICOM file of one of Orthanc's own ids."""
        answer = http_client.get(f"{self.url}/instances/{instance}/file", timeout=60)
        return answer.raise_for_status().content

    def tags(self) -> list[dict[str, str]]:
        """Return the header of every instance it holds, by keyword."""
        return [self.get(f"instances/{name}/simplified-tags") for name in self.get("instances")]


@contextmanager
def running_orthanc(folder: Path, **configuration: Any) -> Iterator[Orthanc]:
    """Run Orthanc, and kill it at the end.

    Parameters
    ----------
    folder
        For its log, configuration and storage. One that was used before is taken as it was left.
    configuration
        Options of its configuration file, which outrank ours; mappings are merged.
    """
    program = require_program("Orthanc", "orthanc")
    if not DICOMWEB_PLUGIN.exists():
        require_program("libOrthancDicomWeb.so", "orthanc-dicomweb")
    http_port, dicom_port = free_port(), free_port()
    file, log = folder / "orthanc.json", folder / "orthanc.log"
    file.write_text(json.dumps(_merged(_defaults(folder, http_port, dicom_port), configuration)))
    with log.open("ab") as sink:
        process = subprocess.Popen([program, str(file)], stdout=sink, stderr=sink)
    users = configuration.get("RegisteredUsers", {})
    access = "".join(f"{name}:{password}@" for name, password in users.items())
    url = f"http://{access}127.0.0.1:{http_port}"
    try:
        _wait(http_port, access, process, log)
        yield Orthanc(url, f"{url}/dicom-web", dicom_port, folder, process)
    finally:
        process.kill()
        process.wait()


def _defaults(folder: Path, http_port: int, dicom_port: int) -> dict[str, Any]:
    return {
        "Name": "test",
        "StorageDirectory": str(folder / "storage"),
        "IndexDirectory": str(folder / "storage"),
        "HttpPort": http_port,
        "DicomPort": dicom_port,
        "DicomAet": AET,
        "DicomCheckCalledAet": False,
        "DicomAlwaysAllowStore": True,
        "DicomAlwaysAllowEcho": True,
        "RemoteAccessAllowed": False,
        "AuthenticationEnabled": False,
        "StableAge": 1,
        # A test waits for what it caused, not for another's place in a queue.
        "ConcurrentJobs": 4,
        "Plugins": [str(DICOMWEB_PLUGIN)],
        "DicomWeb": {"Enable": True, "Root": "/dicom-web/", "Ssl": False},
    }


def _merged(base: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    both = dict(base)
    for name, value in changes.items():
        known = both.get(name)
        if isinstance(known, Mapping) and isinstance(value, Mapping):
            value = _merged(known, value)
        both[name] = value
    return both


def _wait(port: int, access: str, process: "subprocess.Popen[bytes]", log: Path) -> None:
    key = b64encode(access.removesuffix("@").encode()).decode()
    headers = {"Authorization": f"Basic {key}"} if access else {}
    try:
        wait_until_ready(
            port, lambda: process.poll() is None, path="/dicom-web/studies", headers=headers
        )
    except TimeoutError:
        pytest.fail(f"Orthanc did not start:\n{log.read_text(errors='replace')}")
