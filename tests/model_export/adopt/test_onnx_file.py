"""ONNX files of every shape: what is served is what the net's own pipeline answers."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from numpy.typing import NDArray
from onnx import numpy_helper

from model_export.adopt.errors import AdoptError, Unanswered
from model_export.adopt.flags import IMAGENET_DEVIATION, IMAGENET_MEAN, Flags
from model_export.adopt.onnx_file import facts_of
from model_export.adopt.run import AdoptResult, Naming, adopt
from model_export.export.run import write
from service.errors import ContractError
from service.inference.session import Session
from service.segmenter import SegmentOptions
from service.startup.models import open_model
from tests.dicom_files import dicom_file
from tests.e2e.conftest import serving
from tests.model_export.adopt.nets import (
    COLUMNS,
    ROWS,
    SPACING_MM,
    Prepare,
    SpotNet,
    aim,
    as_onnx,
    display_of,
    logits_of,
    sigmoid,
    softmax,
    view_file,
)
from tests.model_export.adopt.served import demand_the_same, probability_over_http
from tests.thinned import thinned

pytestmark = pytest.mark.integration

BASE: dict[str, Any] = {"pixels": "0..1", "spacing_mm": SPACING_MM}


def plain(display: NDArray[np.float32]) -> NDArray[np.float32]:
    return display[None]


def times_255(display: NDArray[np.float32]) -> NDArray[np.float32]:
    return display[None] * np.float32(255)


def imagenet(display: NDArray[np.float32]) -> NDArray[np.float32]:
    mean = np.array(IMAGENET_MEAN, np.float32)[:, None, None]
    return (display[None] - mean) / np.array(IMAGENET_DEVIATION, np.float32)[:, None, None]


def z_score(display: NDArray[np.float32]) -> NDArray[np.float32]:
    return ((display - display.mean()) / display.std())[None]


def min_max(display: NDArray[np.float32]) -> NDArray[np.float32]:
    return ((display - display.min()) / np.ptp(display))[None]


def windowed(display: NDArray[np.float32]) -> NDArray[np.float32]:
    return np.clip((display * 65535 - 9000) / (52000 - 9000), 0, 1)[None].astype(np.float32)


def inverted(display: NDArray[np.float32]) -> NDArray[np.float32]:
    return (1 - display)[None]


@dataclass(frozen=True)
class Case:
    outputs: int = 1
    channels: int = 1
    prepare: Prepare = plain
    form: dict[str, Any] = field(default_factory=dict)
    flags: dict[str, Any] = field(default_factory=dict)
    lesions: tuple[int, ...] = (0,)


BOTH = ("mass", "calcification")
CASES = {
    "one logit": Case(flags={"activation": "sigmoid"}),
    "one probability": Case(form={"squash": "Sigmoid"}),
    "two-class logits": Case(
        2, flags={"activation": "softmax", "lesion_class": ("1",)}, lesions=(1,)
    ),
    "two-class softmax": Case(
        2, form={"squash": "Softmax"}, flags={"lesion_class": ("1",)}, lesions=(1,)
    ),
    "two of four classes": Case(
        4,
        flags={
            "activation": "softmax",
            "classes": "background,skin,mass,calcification",
            "lesion_class": BOTH,
        },
        lesions=(2, 3),
    ),
    "three channels": Case(
        channels=3, prepare=imagenet, flags={"activation": "sigmoid", "pixels": "imagenet"}
    ),
    "8-bit values": Case(prepare=times_255, flags={"activation": "sigmoid", "pixels": "0..255"}),
    "z-score": Case(prepare=z_score, flags={"activation": "sigmoid", "pixels": "z-score"}),
    "min-max": Case(prepare=min_max, flags={"activation": "sigmoid", "pixels": "min-max"}),
    "a fixed window": Case(
        prepare=windowed, flags={"activation": "sigmoid", "pixels": "9000..52000"}
    ),
    "a fixed rectangle": Case(form={"sides": (ROWS, COLUMNS)}, flags={"activation": "sigmoid"}),
    "channels last": Case(form={"last": True}, flags={"activation": "sigmoid"}),
    "no axis of classes": Case(form={"flat": True}, flags={"activation": "sigmoid"}),
    "opset 13": Case(form={"opset": 13}, flags={"activation": "sigmoid"}),
    "inverted": Case(prepare=inverted, flags={"activation": "sigmoid", "invert": True}),
}


def written(case: Case, view: Path, folder: Path) -> tuple[Path, NDArray[np.float32]]:
    """Write a case's file, and return its own pipeline's probability of a lesion."""
    image = case.prepare(display_of(view)).astype(np.float32)
    image = np.repeat(image, case.channels, axis=0) if len(image) < case.channels else image
    net = aim(SpotNet(case.channels, case.outputs), image)
    path = folder / "net.onnx"
    onnx.save(as_onnx(net, **case.form), str(path))
    logits = logits_of(net, image)
    if case.outputs == 1:
        return path, sigmoid(logits)[0]
    return path, softmax(logits)[list(case.lesions)].sum(axis=0)


def adopted(case: Case, view: Path, folder: Path, **more: Any) -> tuple[Path, AdoptResult]:
    path, probability = written(case, view, folder)
    np.save(folder / "expected.npy", probability)
    flags = Flags(**(BASE | case.flags | more))
    target = folder / "adopted.onnx"
    expected = folder / "expected.npy"
    return target, adopt(path, view, target, flags, naming=Naming(), expected_path=expected)


@pytest.mark.parametrize("name", thinned(sorted(CASES), 3))
def test_every_shape_of_a_file_is_served_as_its_own_pipeline_answers(
    name: str, view: Path, tmp_path: Path
) -> None:
    target, result = adopted(CASES[name], view, tmp_path)
    assert result.found is not None and result.found.proves
    assert result.contract.adopted is not None
    assert result.contract.adopted.proof == "expected-mask"
    assert (tmp_path / "adopted.png").stat().st_size > 1000
    assert Session.open(target).contract == result.contract


def test_what_is_served_over_http_is_what_the_net_answers(view: Path, tmp_path: Path) -> None:
    case = CASES["three channels"]
    target, _ = adopted(case, view, tmp_path)
    with serving(tmp_path, model=str(target)) as service:
        served = probability_over_http(service.url, view)
    demand_the_same(served, np.load(tmp_path / "expected.npy"), display_of(view))


def test_weights_in_other_files_are_put_into_the_one_that_is_served(
    view: Path, tmp_path: Path
) -> None:
    case = CASES["one logit"]
    path, probability = written(case, view, tmp_path)
    model = onnx.load(str(path))
    onnx.save(
        model, str(path), save_as_external_data=True, location="net.weights", size_threshold=0
    )
    with pytest.raises(ContractError, match=r"external data.*mammoseg adopt"):
        Session.open(path)
    np.save(tmp_path / "expected.npy", probability)
    target = tmp_path / "adopted.onnx"
    flags = Flags(**(BASE | case.flags))
    found = adopt(
        path, view, target, flags, naming=Naming(), expected_path=tmp_path / "expected.npy"
    ).found
    assert found is not None and found.proves
    (tmp_path / "net.weights").unlink()
    assert Session.open(target).contract.name == "net"
    with pytest.raises(AdoptError, match="must lie beside it"):
        adopt(path, view, target, flags, naming=Naming())


def test_the_hash_covers_the_weights(view: Path, tmp_path: Path) -> None:
    target, _ = adopted(CASES["one logit"], view, tmp_path)
    before = Session.open(target).sha256
    model = onnx.load(str(target))
    weights = next(one for one in model.graph.initializer if one.name.endswith("see.w"))
    values = numpy_helper.to_array(weights).copy()
    values.flat[0] += np.float32(1e-6)
    weights.CopyFrom(numpy_helper.from_array(values, weights.name))
    onnx.save(model, str(target))
    assert Session.open(target).sha256 != before


def test_what_the_file_does_not_say_is_asked_for_flag_by_flag(view: Path, tmp_path: Path) -> None:
    path, _ = written(CASES["two of four classes"], view, tmp_path)
    with pytest.raises(Unanswered) as caught:
        adopt(path, view, tmp_path / "adopted.onnx", Flags(), naming=Naming())
    flags = ("--pixels", "--spacing", "--activation", "--lesion-class")
    for flag, question in zip(flags, caught.value.questions, strict=True):
        assert flag in question
    assert not (tmp_path / "adopted.onnx").exists()


def test_a_view_of_finer_pixels_is_resampled_for_the_net_and_its_answer_back(
    view: Path, tmp_path: Path
) -> None:
    case = CASES["one logit"]
    target, _ = adopted(case, view, tmp_path)
    fine = tmp_path / "fine.dcm"
    display = display_of(view)
    stored = np.rint(np.kron(display, np.ones((3, 3))) * 4095).astype(np.int32)
    spacing = [SPACING_MM / 3] * 2
    fine.write_bytes(dicom_file(stored, PixelSpacing=spacing, ImagerPixelSpacing=None))
    with open_model(target) as segmenter:
        coarse, finer = (
            segmenter.segment(path.read_bytes(), options=SegmentOptions(gate=False))
            for path in (view, fine)
        )
    maps = finer.lesion_map.probability, coarse.lesion_map.probability
    assert np.abs(maps[0] - maps[1]).max() < 0.02
    assert finer.mask.shape == (3 * ROWS, 3 * COLUMNS)


@pytest.mark.parametrize(("facing", "turned"), [("left", "R"), ("right", "L")])
def test_a_view_is_mirrored_for_a_net_that_saw_one_side_only(
    facing: str, turned: str, view: Path, tmp_path: Path
) -> None:
    target, _ = adopted(CASES["one logit"], view, tmp_path)
    contract = Session.open(target).contract
    assert contract.adopted is not None
    sided = contract.model_copy(
        update={"adopted": contract.adopted.model_copy(update={"facing": facing})}
    )
    model = onnx.load(str(target))
    write(model, sided, tmp_path / "sided.onnx")
    plain_side = "L" if turned == "R" else "R"
    answers = {}
    for side in ("L", "R"):
        with open_model(tmp_path / "sided.onnx") as segmenter:
            body = view_file(tmp_path, side).read_bytes()
            answers[side] = segmenter.segment(body, options=SegmentOptions(gate=False))
    left, right = (answers[side].lesion_map.probability for side in ("L", "R"))
    np.testing.assert_allclose(left, right[:, ::-1], atol=1e-5)
    with open_model(target) as segmenter:
        body = view_file(tmp_path, plain_side).read_bytes()
        untouched = segmenter.segment(body, options=SegmentOptions(gate=False))
    np.testing.assert_allclose(
        untouched.lesion_map.probability, answers[plain_side].lesion_map.probability, atol=1e-6
    )


def test_a_foreign_graph_that_is_no_net_of_maps_is_refused() -> None:
    net = SpotNet(1, 1)
    for change, said in (
        (lambda model: model.graph.input[0].type.tensor_type.shape.dim.pop(), "3 axes"),
        (
            lambda model: setattr(
                model.graph.input[0].type.tensor_type.shape.dim[1], "dim_value", 4
            ),
            "4 channels",
        ),
        (lambda model: setattr(model.graph.output[0].type.tensor_type, "elem_type", 7), "INT64"),
        (
            lambda model: model.graph.input.append(
                onnx.helper.make_tensor_value_info("more", 1, [1])
            ),
            "2 inputs",
        ),
    ):
        model = as_onnx(net)
        change(model)
        with pytest.raises(AdoptError, match=said):
            facts_of(model)
