"""Markers everywhere in an instance that goes through the inbox: none comes out on the way."""

import os
from collections.abc import Iterator

import httpx
import pytest

from tests import http_client
from tests.canaries import WORD
from tests.dicom_files import SOP_INSTANCE_UID
from tests.e2e.conftest import Service, serving
from tests.e2e.test_canaries import HEADERS, check_text, form
from tests.e2e.test_dicom_canaries import KEPT, SOURCE
from tests.stow_server import StowServer, failed, stow_server
from tests.waiting import comes_true

pytestmark = pytest.mark.e2e


@pytest.fixture(scope="module")
def pacs() -> Iterator[StowServer]:
    """A destination that refuses the first time, so that failures are logged too."""
    with stow_server() as server:
        stored = server.reply
        server.reply = lambda uid, times: failed(uid, 0xA700) if times == 1 else stored(uid, times)
        yield server


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory, pacs: StowServer) -> Iterator[Service]:
    folder = tmp_path_factory.mktemp("inbox-canaries")
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(os.environ, "PYTHONWARNINGS", "always")
        with serving(
            folder,
            readers="1",
            destinations=pacs.url,
            inbox=str(folder / "inbox"),
            retry_first_s="1",
        ) as service:
            yield service


def store(service: Service, body: bytes, path: str = "") -> httpx.Response:
    request = form(body, related=True)
    headers = HEADERS | request.pop("headers")  # type: ignore[operator]
    url = f"{service.url}/dicom-web/studies{path}"
    return http_client.post(url, params={"patient": WORD}, headers=headers, timeout=120, **request)  # type: ignore[arg-type]


def delivered(pacs: StowServer) -> bool:
    return len(pacs.received) == 2 and all(len(files) == 2 for files in pacs.received.values())


def test_an_instance_leaves_no_trace_on_its_way(service: Service, pacs: StowServer) -> None:
    # The form's first part is no instance: it fails by itself.
    answer = store(service, SOURCE)
    assert answer.status_code == 202, answer.text
    check_text(answer.text + repr(answer.headers))
    assert SOP_INSTANCE_UID in answer.text
    for path in (f"/{WORD}", "/1.2.3"):
        check_text(store(service, SOURCE, path).text)
    assert comes_true(lambda: delivered(pacs))
    kept = service.log.read_text() + http_client.get(f"{service.url}/metrics").text
    assert "inbox-delivered" in kept and "inbox-not-delivered" in kept
    check_text(kept)
    for value in (SOP_INSTANCE_UID, *pacs.received, *(set(KEPT.values()) - {"F"})):
        assert value not in kept
    check_text(repr([list(headers.items()) for headers in pacs.headers]))
