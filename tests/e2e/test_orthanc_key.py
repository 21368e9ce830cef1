"""A real Orthanc stores into a service that asks for a key."""

from pathlib import Path

import httpx
import pytest

from service.access.keys import ApiKey, changing_keys, digest_of, make_key
from service.access.scopes import Scope
from tests.e2e.conftest import serving
from tests.identity_net import write_identity_net
from tests.orthanc import running_orthanc
from tests.ports import free_port
from tests.service.access.api_keys import TODAY

pytestmark = [pytest.mark.e2e, pytest.mark.slow]


def test_orthanc_brings_its_key_as_a_password_or_in_a_header(
    tmp_path: Path, cbis_files: list[Path]
) -> None:
    port, key, other = free_port(), make_key(), make_key()
    with changing_keys(tmp_path / "keys.json") as keys:
        for name, secret, scope in (
            ("orthanc", key, Scope.INBOX),
            ("page", other, Scope.SEGMENT),
        ):
            keys.append(ApiKey(name, digest_of(secret), frozenset({scope}), TODAY))
    door = {"Url": f"http://127.0.0.1:{port}/dicom-web/"}
    servers = {
        "password": door | {"Username": "orthanc", "Password": key},
        "header": door | {"HttpHeaders": {"Authorization": f"Bearer {key}"}},
        "nothing": door,
        "wrong-key": door | {"Username": "orthanc", "Password": key[:-1]},
        "wrong-scope": door | {"Username": "orthanc", "Password": other},
    }
    folder = tmp_path / "orthanc"
    folder.mkdir()
    with (
        running_orthanc(folder, DicomWeb={"Servers": servers}) as orthanc,
        serving(
            tmp_path,
            port=port,
            model=str(write_identity_net(tmp_path / "identity.onnx")),
            readers="1",
            keys_file=str(tmp_path / "keys.json"),
            destinations=orthanc.dicomweb,
            inbox=str(tmp_path / "inbox"),
        ) as service,
    ):
        export = {"Resources": [orthanc.store(cbis_files[0].read_bytes())], "Synchronous": True}
        for name in ("nothing", "wrong-key", "wrong-scope"):
            with pytest.raises(httpx.HTTPStatusError):
                orthanc.post(f"dicom-web/servers/{name}/stow", export)
        for name in ("password", "header"):
            orthanc.post(f"dicom-web/servers/{name}/stow", export)
        log = service.log.read_text()
    assert log.count('"code": "unauthenticated"') >= 2 and '"code": "forbidden"' in log
    assert '"caller": "orthanc"' in log and key not in log
