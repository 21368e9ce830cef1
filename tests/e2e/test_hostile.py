"""Files that are meant to harm, over real HTTP: what each costs, and what is left behind."""

from collections.abc import Iterator
from pathlib import Path

import httpx
import psutil
import pydicom
import pytest

from tests import http_client
from tests.dicom_files import dicom_file, phantom
from tests.e2e.conftest import Service, serving_by_command
from tests.e2e.test_memory import Watch
from tests.identity_net import write_identity_net
from tests.thinned import thinned

pytestmark = [pytest.mark.e2e, pytest.mark.slow]

CAP_MIB = 2048
GOOD = dicom_file(phantom(12), ImagerPixelSpacing=[1, 1])

LEAK_MIB = 48
"""Growth of the settled tree over a second round that still counts as none: allocators keep some,
and of every file a leak of its size would be more."""


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    folder = tmp_path_factory.mktemp("hostile")
    model = write_identity_net(folder / "identity.onnx")
    # Every modality, so that as many files as can be are decoded.
    modalities = "CR,CT,MG,MR,NM,OT,RTDOSE,SEG,US,XA,XC"
    with serving_by_command(folder, model=str(model), accept_modalities=modalities) as service:
        yield service


def post(service: Service, body: bytes, query: str = "") -> httpx.Response:
    return http_client.post(f"{service.url}/v1/segment{query}", content=body, timeout=120)


def of_pydicom() -> list[Path]:
    folder = Path(pydicom.__file__).parent / "data"
    skipped = (".py", ".pyc", ".json", ".txt", ".md")
    return sorted(p for p in folder.rglob("*") if p.is_file() and p.suffix not in skipped)


def send_all(service: Service, files: list[Path], queries: tuple[str, str]) -> None:
    """Post every file, every second one with the other query, and a good one after each refusal."""
    for number, file in enumerate(files):
        answer = post(service, file.read_bytes(), queries[number % 2])
        assert answer.status_code == 200 or 400 <= answer.status_code < 500, file.name
        if answer.status_code != 200:
            assert answer.headers["content-type"] == "application/problem+json"
            assert post(service, GOOD).status_code == 200, file.name


def resident_mib(service: Service) -> float:
    root = psutil.Process(service.process.pid)
    tree = (root, *root.children(recursive=True))
    return sum(process.memory_info().rss for process in tree) / 2**20


def check(service: Service, files: list[Path]) -> None:
    """Twice all of them: by then whatever is kept once has been."""
    # A look takes some milliseconds of a core; to fill what is capped takes many times this.
    watch = Watch(service.process.pid, period_s=0.05)
    watch.start()
    send_all(service, files, ("", "?frame=1"))
    settled = resident_mib(service)
    send_all(service, files, ("?frame=1", ""))
    grown = resident_mib(service) - settled
    watch.ended = True
    watch.join()
    assert grown < LEAK_MIB
    assert watch.peak < CAP_MIB << 20


@pytest.mark.long
def test_pydicoms_own_files(service: Service) -> None:
    files = of_pydicom()
    assert len(files) > 100
    check(service, files)


@pytest.mark.parametrize("every", thinned([12, 4, 1], 3))
def test_malformed_files(service: Service, shared_data: Path, every: int) -> None:
    files = sorted((shared_data / "malformed-dicom").rglob("*.dcm"))
    assert len(files) > 300
    check(service, files[::every])
