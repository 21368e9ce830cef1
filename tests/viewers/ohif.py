"""A built OHIF as deploy/ohif sets it up: nginx with its files here, a real Orthanc behind it."""

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from service.system.server_process import wait_until_ready
from tests.orthanc import Orthanc
from tests.ports import free_port
from tests.programs import require_program, skip_or_fail

DEPLOYED = Path(__file__).parents[2] / "deploy" / "ohif"

_MAIN = """{user}
daemon off;
worker_processes 1;
pid {folder}/nginx.pid;
error_log {folder}/nginx-error.log;
events {{}}
http {{
  include /etc/nginx/mime.types;
  access_log off;
  client_body_temp_path {folder}/body;
  proxy_temp_path {folder}/proxy;
  fastcgi_temp_path {folder}/fastcgi;
  uwsgi_temp_path {folder}/uwsgi;
  scgi_temp_path {folder}/scgi;
  include {folder}/ohif.conf;
}}
"""


def ohif_files() -> Path:
    """Return the folder of a built OHIF; where there is none the test is skipped by name."""
    folder = Path(os.environ.get("TESTS_OHIF", DEPLOYED / "dist"))
    if not (folder / "app-config.js").is_file():
        skip_or_fail("needs OHIF (deploy/ohif/fetch)")
    return folder


@contextmanager
def running_ohif(
    folder: Path, orthanc: Orthanc, configuration: Path = DEPLOYED, files: Path | None = None
) -> Iterator[str]:
    """Run nginx as deploy/ohif/nginx.conf says, with other ports and paths; gives its address.

    Parameters
    ----------
    folder
        For its log and configuration.
    orthanc
        Stands behind it.
    configuration
        Folder of app-config.js and mammoseg.js.
    files
        What stands for the built OHIF, where it is not the real one.
    """
    program, port = require_program("nginx", "nginx-light"), free_port()
    site = (DEPLOYED / "nginx.conf").read_text()
    for deployed, here in {
        "127.0.0.1:3000": f"127.0.0.1:{port}",
        "http://127.0.0.1:8042": orthanc.url,
        "/usr/share/ohif": str(files or ohif_files()),
        "/etc/ohif": str(configuration),
    }.items():
        assert deployed in site
        site = site.replace(deployed, here)
    (folder / "ohif.conf").write_text(site)
    # Workers would give up root, and with it the folders of tests.
    user = "" if os.geteuid() else "user root;"
    main = folder / "nginx.conf"
    main.write_text(_MAIN.format(folder=folder, user=user))
    with (folder / "nginx.log").open("wb") as sink:
        process = subprocess.Popen([program, "-c", str(main)], stdout=sink, stderr=sink)
    try:
        wait_until_ready(port, lambda: process.poll() is None, path="/dicom-web/studies")
        yield f"http://127.0.0.1:{port}"
    except TimeoutError:
        pytest.fail(f"nginx did not start:\n{(folder / 'nginx.log').read_text()}")
    finally:
        process.terminate()
        process.wait()
