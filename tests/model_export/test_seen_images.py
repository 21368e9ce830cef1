from collections.abc import Iterator
from pathlib import Path

import cv2
import onnx
import pytest

from model_export.datasets import read_source
from model_export.export import combine as combining
from model_export.export import run as exporting
from model_export.export.combine import combine
from model_export.export.half import halve
from model_export.export.mirror import mirror
from model_export.phantom import breast_phantom
from model_export.seen_images import (
    KEY,
    NOT_TOLD,
    SeenImages,
    digest_of_image,
    seen_by,
    union,
)
from model_export.training.lineage import Lineage
from service.inference.session import Session
from tests.model_export.lived_in import lived_in
from tests.model_export.small_tiles import small_tiles
from tests.model_export.tiny import tiny_config

ONE, OTHER, THIRD = (bytes([number]) * 8 for number in (1, 2, 3))


@pytest.mark.unit
def test_what_was_seen_survives_being_written_and_is_whole_only_where_each_part_is() -> None:
    seen = SeenImages(frozenset({ONE, OTHER}), frozenset({THIRD}))
    assert SeenImages.from_text(seen.to_text()) == seen
    assert SeenImages.from_text(NOT_TOLD.to_text()) == NOT_TOLD
    both = union([seen, SeenImages(frozenset({THIRD}))])
    assert both == SeenImages(frozenset({ONE, OTHER, THIRD}), frozenset({THIRD}))
    assert union([seen, NOT_TOLD]) == SeenImages(seen.trained, seen.chose, complete=False)
    assert len(SeenImages(frozenset({ONE})).to_text()) < 100


@pytest.mark.unit
@pytest.mark.parametrize(
    "text", ["", "[]", "{}", '{"trained": "QQ==", "chose": "", "complete": 1}']
)
def test_what_is_no_list_of_digests_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="does not hold digests"):
        SeenImages.from_text(text)


@pytest.mark.unit
def test_an_image_is_known_by_its_values_and_their_shape() -> None:
    pixels = breast_phantom(64).astype("uint16") * 257
    assert digest_of_image(pixels) == digest_of_image(pixels.astype(">u2"))
    assert digest_of_image(pixels) == digest_of_image(pixels[:, ::-1][:, ::-1])
    assert len({digest_of_image(one) for one in (pixels, pixels.reshape(32, 128), pixels + 1)}) == 3


@pytest.mark.integration
def test_an_image_stays_the_same_in_another_folder_by_another_name_in_another_format(
    tmp_path: Path,
) -> None:
    pixels = breast_phantom(128)
    for source, name in (("own", "a.png"), ("own_v2", "b.tif")):
        for part, content in (("images", pixels), ("masks", (pixels > 200) * pixels)):
            (tmp_path / source / part).mkdir(parents=True)
            cv2.imwrite(str(tmp_path / source / part / name), content)
    (tmp_path / "own_v2" / "table.csv").write_text("name,patient,pixel_spacing_mm\nb,P7,0.2\n")
    (one,), (other,) = (list(read_source(tmp_path, name)) for name in ("own", "own_v2"))
    assert one.digest == other.digest and one.patient != other.patient


@pytest.fixture(scope="module")
def in_small_tiles() -> Iterator[None]:
    with small_tiles() as patch:
        # Random weights react to rounding more than trained ones.
        patch.setattr(combining, "ROUNDED", 0.03)
        yield


def seen_in(path: Path) -> SeenImages:
    return seen_by(onnx.load(path))


@pytest.mark.integration
def test_every_file_that_is_made_of_another_says_what_that_had_seen(
    tmp_path: Path, in_small_tiles: None
) -> None:
    config = tiny_config()
    first = SeenImages(frozenset({ONE}), frozenset({OTHER}))
    for name, seen in (("first", first), ("second", SeenImages(frozenset({THIRD})))):
        lineage = Lineage(("own",), (), seen)
        target = tmp_path / f"{name}.onnx"
        exporting.export(lived_in(config.network), config, target, "0.1.0", lineage)
    path = tmp_path / "first.onnx"
    assert seen_in(path) == first
    assert KEY not in Session.open(path).contract.to_metadata()
    mirror(path, "0.1.1", tmp_path / "mirrored.onnx")
    halve(path, tmp_path / "half.onnx", "0.1.2")
    assert seen_in(tmp_path / "mirrored.onnx") == seen_in(tmp_path / "half.onnx") == first
    combine([path, tmp_path / "second.onnx"], "both", "0.2.0", tmp_path / "both.onnx")
    assert seen_in(tmp_path / "both.onnx") == SeenImages(
        frozenset({ONE, THIRD}), frozenset({OTHER})
    )
    exporting.export(lived_in(config.network), config, tmp_path / "before.onnx", "0.1.0")
    assert seen_in(tmp_path / "before.onnx") == NOT_TOLD
