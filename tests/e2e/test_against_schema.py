"""The service against its description, by schemathesis: every route, every check, real images.

A route that is added to the description is tested without a word here, if what it takes is one of
the media types below.
"""

import functools
import re
from collections.abc import Callable, Iterator
from datetime import date
from pathlib import Path
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from schemathesis import Case, GenerationMode
from schemathesis.core.result import Ok
from schemathesis.specs.openapi.checks import negative_data_rejection
from schemathesis.transport.serialization import Binary

from service.access.keys import ApiKey, changing_keys, digest_of
from service.access.scopes import Scope
from service.outputs.forms import Form
from tests.corpus.write import corpus
from tests.e2e.conftest import Service, serving
from tests.identity_net import write_identity_net

pytestmark = [pytest.mark.e2e, pytest.mark.slow]

SIDE = 64
EXAMPLES = 12
"""Of each operation, beside the boundary values of its parameters."""

KINDS = {
    "dcm": "application/dicom",
    "png": "image/png",
    "jpg": "image/jpeg",
    "jpeg": "image/jpeg",
    "tif": "image/tiff",
    "tiff": "image/tiff",
}
PICTURES: tuple[Form, ...] = ("json", "mask", "heatmap", "overlay")
"""Forms that every image has; the others are made from a DICOM header."""

KEY = "mammoseg_all"

RELATED = 'multipart/related; type="application/dicom"; boundary=b'


@functools.cache
def images(media_type: str) -> list[bytes]:
    """Return files of the corpus that are to be accepted."""
    return [
        variant.body
        for variant in corpus(SIDE).values()
        if variant.status == 200
        and not variant.query
        and KINDS[variant.name.rsplit(".", 1)[1]] == media_type
    ]


def related(part: bytes) -> bytes:
    """Write multipart/related of one part, as a PACS does."""
    return b"--b\r\nContent-Type: application/dicom\r\n\r\n" + part + b"\r\n--b--\r\n"


def real(media_type: str) -> st.SearchStrategy[bytes]:
    """Draw such a file; the corpus is made when the first is asked for."""
    return st.deferred(lambda: st.sampled_from(images(media_type)))


for kind in set(KINDS.values()):
    schemathesis.openapi.media_type(kind, real(kind))
schemathesis.openapi.media_type("application/octet-stream", real("application/dicom"))
schemathesis.openapi.media_type("multipart/related", real("application/dicom").map(related))
schemathesis.openapi.format("binary", real("application/dicom").map(Binary))

schema = schemathesis.openapi.from_path(Path(__file__).parents[2] / "openapi.yaml")


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    folder = tmp_path_factory.mktemp("described")
    model = write_identity_net(folder / "identity.onnx")
    with changing_keys(folder / "keys.json") as keys:
        keys.append(ApiKey("all", digest_of(KEY), frozenset({Scope.ADMIN}), date(2026, 11, 29)))
    # Checks ask again without the key, and with a wrong one, and are to be refused.
    with serving(
        folder,
        model=str(model),
        readers="1",
        runners="1",
        keys_file=str(folder / "keys.json"),
        requests_per_minute="1000000",
        denied_per_minute="1000000",
    ) as service:
        yield service


def keeping_to(operation: str) -> Callable[..., None]:
    """Return the test of one operation."""

    @schema.include(name=operation).parametrize()
    @settings(
        max_examples=EXAMPLES,
        deadline=None,
        derandomize=True,
        database=None,
        phases=(Phase.explicit, Phase.generate),
        suppress_health_check=list(HealthCheck),
    )
    def keeps_to_its_description(service: Service, case: Case[Any]) -> None:
        case.call_and_validate(
            base_url=service.url, excluded_checks=beside_the_point(case), **fitted(case)
        )

    return keeps_to_its_description


# A function of its own for each: those of one `parametrize` have one node id, and of several tests
# with one node id pytest-xdist runs one.
for found in schema.get_all_operations():
    assert isinstance(found, Ok), found
    words = re.sub(r"\W+", "_", found.ok().label).strip("_").lower()
    globals()[f"test_the_service_keeps_to_its_description_of_{words}"] = keeping_to(
        found.ok().label
    )


def beside_the_point(case: Case[Any]) -> list[Any]:
    """Return checks that a request fails for nothing but a parameter that nobody knows: ignored."""
    known = {parameter.name for parameter in case.operation.query}
    return [negative_data_rejection] if case.query.keys() - known else []


def fitted(case: Case[Any]) -> dict[str, Any]:
    """Make a valid request one that its image can meet, which a description cannot say."""
    if case.meta is not None and case.meta.generation.mode is GenerationMode.POSITIVE:
        # None of the images has several frames.
        case.query.pop("frame", None)
        if isinstance(case.body, dict):
            case.body.pop("frame", None)
        picture = (case.media_type or "").startswith("image/")
        if picture and case.query.get("output") not in PICTURES:
            case.query.pop("output", None)
    related = {"Content-Type": RELATED} if case.media_type == "multipart/related" else {}
    return {"headers": {"Authorization": f"Bearer {KEY}"} | related}
