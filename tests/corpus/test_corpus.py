"""The whole corpus, small, through the service: every answer is the one its manifest expects."""

import csv
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fastapi.testclient import TestClient
from numpy.typing import NDArray

from service.app import create_app
from service.settings import Settings
from tests.corpus.variant import Turn, Variant
from tests.corpus.write import MANIFEST, corpus, row, write_corpus
from tests.identity_net import write_identity_net
from tests.service.api.test_segment import decode_rle

pytestmark = pytest.mark.integration

SIDE = 200
NEARLY = 0.85
"""Intersection over union of masks, after lossy compression."""

BACK: dict[Turn, tuple[int, int]] = {
    "": (1, 1),
    "left-right": (1, -1),
    "upside down": (-1, 1),
    "by 180": (-1, -1),
}


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestClient]:
    model = write_identity_net(tmp_path_factory.mktemp("model") / "identity.onnx")
    with TestClient(create_app(Settings(model=model, device="cpu", readers=1))) as client:
        yield client


def answer(client: TestClient, variant: Variant, *choices: str) -> Any:
    query = "&".join((*filter(None, [variant.query]), *choices))
    return client.post(f"/v1/segment?{query}", content=variant.body)


def mask_of(client: TestClient, variant: Variant) -> NDArray[np.bool_]:
    """Return the mask on one and the same grid, whatever the file says of its spacing."""
    found = answer(client, variant, "pixel_spacing_mm=1", "gate=false").json()
    rows, columns = BACK[variant.turn]
    return decode_rle(found["mask"])[::rows, ::columns]


def test_an_answer_is_the_expected_one(client: TestClient, subtests: pytest.Subtests) -> None:
    for name, variant in corpus(SIDE).items():
        with subtests.test(name):
            check_answer(client, variant)


def check_answer(client: TestClient, expected: Variant) -> None:
    given = answer(client, expected)
    assert given.status_code == expected.status, given.text
    if expected.status != 200:
        assert given.json()["code"] == expected.code
        return
    image = given.json()["image"]
    said = {warning["code"] for warning in given.json()["warnings"]}
    assert said - {"spacing-assumed"} == set(expected.warnings)
    assert ("spacing-assumed" in said) is (expected.spacing is None)
    assert image["intent"] == expected.intent
    assert (image["laterality"] or "", image["view_position"] or "") == (
        expected.laterality,
        expected.view,
    )
    assert image["pixel_spacing_mm"] == (
        expected.spacing and pytest.approx(expected.spacing, rel=1e-6)
    )


def test_a_mask_is_that_of_its_reference(client: TestClient, subtests: pytest.Subtests) -> None:
    references: dict[str, NDArray[np.bool_]] = {}
    for name, variant in corpus(SIDE).items():
        if not variant.same_as:
            continue
        with subtests.test(name):
            if variant.same_as not in references:
                references[variant.same_as] = mask_of(client, corpus(SIDE)[variant.same_as])
            check_mask(mask_of(client, variant), references[variant.same_as], variant)


def check_mask(mask: NDArray[np.bool_], reference: NDArray[np.bool_], variant: Variant) -> None:
    assert 0.001 < reference.mean() < 0.5
    if variant.exactly:
        np.testing.assert_array_equal(mask, reference)
    else:
        assert (mask & reference).sum() / (mask | reference).sum() > NEARLY


def test_the_manifest_describes_every_file(tmp_path: Path) -> None:
    assert write_corpus(tmp_path, 64) == len(corpus(SIDE))
    with (tmp_path / MANIFEST).open(newline="") as table:
        rows = {line["name"]: line for line in csv.DictReader(table)}
    files = {
        str(path.relative_to(tmp_path)).replace(os.sep, "/")
        for path in tmp_path.rglob("*")
        if path.is_file()
    }
    assert files == {*rows, MANIFEST, "README.txt"}
    for name, variant in corpus(SIDE).items():
        assert rows[name] == {key: str(value) for key, value in row(variant).items()}
        assert variant.what and variant.rule
        assert not variant.same_as or variant.same_as in corpus(SIDE)
