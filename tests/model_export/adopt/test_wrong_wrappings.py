"""Ten ways to wrap a net wrongly: each is refused or named, and none is served in silence."""

import base64
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from numpy.typing import NDArray
from onnx import helper, numpy_helper

from model_export.adopt.errors import AdoptError, NotProven
from model_export.adopt.flags import IMAGENET_DEVIATION, IMAGENET_MEAN, Flags
from model_export.adopt.run import AdoptResult, Naming, adopt
from model_export.export.run import contract_of, write
from service.errors import ContractError, DeviceError
from service.inference.contract import Contract
from service.inference.golden import check_golden
from service.inference.session import Session
from service.startup.models import open_model
from tests.model_export.adopt.nets import (
    COLUMNS,
    ROWS,
    SPACING_MM,
    SpotNet,
    aim,
    as_onnx,
    display_of,
    logits_of,
    softmax,
    view_file,
)
from tests.thinned import thinned

pytestmark = pytest.mark.integration

RIGHT: dict[str, Any] = {
    "pixels": "imagenet",
    "spacing_mm": SPACING_MM,
    "activation": "softmax",
    "lesion_class": ("lesion",),
    "classes": "background,lesion",
    "tile": "320x256",
}

TILE = (320, 256)
WRONG: dict[str, dict[str, Any]] = {
    "the background's class": {"lesion_class": ("0",), "classes": "a,b"},
    "channels swapped": {"bgr": True},
    "normalisation absent": {"pixels": "0..1"},
    "sigmoid missing": {"activation": "none"},
    "one of two classes by a sigmoid": {"activation": "sigmoid"},
    "spacing wrong by two": {"spacing_mm": 2 * SPACING_MM},
    "transposed": {"transpose": True, "tile": "320x320"},
    "polarity inverted": {"invert": True},
    "wrong class count": {"classes": "background,mass,calcification"},
    "8-bit values": {"pixels": "0..255"},
    "z-score": {"pixels": "z-score"},
    "another mean": {"mean": "0.5", "deviation": "0.5"},
    "mirrored": {"facing": "right"},
}

NAMED = {
    "the background's class": "say --lesion-class b instead of --lesion-class 0",
    "channels swapped": "leave out --bgr",
    "normalisation absent": "say --pixels imagenet instead of --pixels 0..1",
    "sigmoid missing": "say --activation sigmoid or --activation softmax",
    "one of two classes by a sigmoid": "say --activation softmax instead of --activation sigmoid",
    "spacing wrong by two": "say --spacing 0.8 instead of --spacing 1.6",
    "transposed": "leave out --transpose",
    "polarity inverted": "leave out --invert",
    "wrong class count": "the net has 2 output channel(s), and 3 classes are named",
    "8-bit values": "say --pixels imagenet instead of --pixels 0..255",
    "z-score": "say --pixels imagenet instead of --pixels z-score",
    "another mean": "leave out --mean 0.5 --deviation 0.5",
    "mirrored": "leave out --facing right",
}
"""What `adopt` says of each where it is told the right answer."""


@pytest.fixture(scope="module")
def net(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path, Path]:
    """Return a net of two classes on ImageNet's colours, a view, and the right probability."""
    folder = tmp_path_factory.mktemp("net")
    view = view_file(folder)
    mean = np.array(IMAGENET_MEAN, np.float32)[:, None, None]
    deviation = np.array(IMAGENET_DEVIATION, np.float32)[:, None, None]
    # The view lies in the middle of the tile, in black.
    around = ((TILE[0] - ROWS) // 2,) * 2, ((TILE[1] - COLUMNS) // 2,) * 2
    image = (np.pad(display_of(view), around)[None] - mean) / deviation
    spots = aim(SpotNet(3, 2, seed=3), image)
    onnx.save(as_onnx(spots), str(folder / "net.onnx"))
    probability = softmax(logits_of(spots, image))[1]
    inner = tuple(slice(before, -before) for before, _ in around)
    np.save(folder / "expected.npy", probability[inner])
    return folder / "net.onnx", view, folder / "expected.npy"


def wrapped(net: tuple[Path, Path, Path], target: Path, *, proof: bool, **more: Any) -> AdoptResult:
    source, view, expected = net
    flags = Flags(**(RIGHT | more))
    return adopt(
        source, view, target, flags, naming=Naming(), expected_path=expected if proof else None
    )


def test_the_right_wrapping_is_proven(net: tuple[Path, Path, Path], tmp_path: Path) -> None:
    result = wrapped(net, tmp_path / "right.onnx", proof=True)
    assert result.found is not None and result.found.proves


@pytest.mark.parametrize("name", thinned(sorted(WRONG), 3))
def test_a_wrong_wrapping_is_refused_and_its_flag_named_where_the_right_answer_is_known(
    name: str, net: tuple[Path, Path, Path], tmp_path: Path
) -> None:
    target = tmp_path / "wrong.onnx"
    with pytest.raises(AdoptError) as refused:
        wrapped(net, target, proof=True, **WRONG[name])
    assert list(tmp_path.iterdir()) == []
    (hint,) = str(refused.value).lower().split("\n")[1:] or [str(refused.value).lower()]
    assert NAMED[name].lower() in hint
    assert isinstance(refused.value, NotProven) == ("then it is proven" in hint)


@pytest.mark.parametrize("name", thinned(sorted(WRONG), 2, 1))
def test_a_wrong_wrapping_is_refused_or_every_answer_says_that_it_is_unproven(
    name: str, net: tuple[Path, Path, Path], tmp_path: Path
) -> None:
    target = tmp_path / "wrong.onnx"
    try:
        wrapped(net, target, proof=False, **WRONG[name])
    except AdoptError as error:
        assert not isinstance(error, NotProven)
        assert not target.exists()
        return
    with open_model(target) as segmenter:
        caveats = segmenter.segment(net[1].read_bytes()).caveats
    assert {"unproven", "threshold-uncalibrated"} <= {one.code for one in caveats}


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("the background's class", "background"),
        ("sigmoid missing", "sigmoid or softmax is missing"),
        ("wrong class count", "2 output channel"),
    ],
)
def test_what_can_be_seen_without_the_right_answer_is_named(
    name: str, said: str, net: tuple[Path, Path, Path], tmp_path: Path
) -> None:
    with pytest.raises(AdoptError, match=said):
        wrapped(net, tmp_path / "wrong.onnx", proof=False, **WRONG[name])


def test_a_second_sigmoid_is_refused(tmp_path: Path) -> None:
    view = view_file(tmp_path)
    spots = aim(SpotNet(1, 1), display_of(view)[None])
    source = tmp_path / "net.onnx"
    onnx.save(as_onnx(spots, squash="Sigmoid"), str(source))
    flags = Flags(pixels="0..1", spacing_mm=SPACING_MM, activation="sigmoid")
    with pytest.raises(AdoptError, match="a second sigmoid"):
        adopt(source, view, tmp_path / "adopted.onnx", flags, naming=Naming())


def test_the_background_by_its_name_is_no_lesion(
    net: tuple[Path, Path, Path], tmp_path: Path
) -> None:
    with pytest.raises(AdoptError, match="background's, not a lesion's"):
        wrapped(net, tmp_path / "wrong.onnx", proof=False, lesion_class=("background",))


# Files that were wrapped by hand, which `adopt` never saw: the loader is the last to look.


def by_hand(
    net: tuple[Path, Path, Path],
    target: Path,
    change: Callable[[onnx.ModelProto], None],
    change_contract: Callable[[Contract], Contract] = lambda contract: contract,
) -> Path:
    wrapped(net, target, proof=True)
    model = onnx.load(str(target))
    contract = contract_of(model)
    change(model)
    write(model, change_contract(contract), target)
    return target


def rename_output(model: onnx.ModelProto, old: str, new: str) -> None:
    for node in model.graph.node:
        node.output[:] = [new if name == old else name for name in node.output]
        node.input[:] = [new if name == old else name for name in node.input]


def two_classes(model: onnx.ModelProto) -> None:
    """Let both classes be the probability, of which the first was served: the background."""
    rename_output(model, "probability", "one_class")
    source = next(node.input[0] for node in model.graph.node if node.op_type == "Gather")
    model.graph.node.append(helper.make_node("Identity", [source], ["probability"]))
    model.graph.output[0].type.tensor_type.shape.dim[1].dim_value = 2


def two_classes_unstated(model: onnx.ModelProto) -> None:
    """Let nobody know before a run how many classes there are."""
    two_classes(model)
    rename_output(model, "probability", "both")
    both = numpy_helper.from_array(np.array([True, True]), "which")
    model.graph.initializer.append(both)
    model.graph.node.append(
        helper.make_node("Compress", ["both", "which"], ["probability"], axis=1)
    )
    model.graph.output[0].type.tensor_type.shape.dim[1].Clear()


def sideways(model: onnx.ModelProto) -> None:
    rename_output(model, "probability", "upright")
    model.graph.node.append(
        helper.make_node("Transpose", ["upright"], ["probability"], perm=[0, 1, 3, 2])
    )
    sides = model.graph.output[0].type.tensor_type.shape.dim
    sides[2].dim_value, sides[3].dim_value = sides[3].dim_value, sides[2].dim_value


def in_double(model: onnx.ModelProto) -> None:
    rename_output(model, "probability", "single")
    model.graph.node.append(helper.make_node("Cast", ["single"], ["probability"], to=11))
    model.graph.output[0].type.tensor_type.elem_type = 11


def two_scores(model: onnx.ModelProto) -> None:
    rename_output(model, "has_mask", "score")
    model.graph.node.append(helper.make_node("Concat", ["score", "score"], ["has_mask"], axis=1))
    model.graph.output[1].type.tensor_type.shape.dim[1].dim_value = 2


def two_inputs(model: onnx.ModelProto) -> None:
    model.graph.input.append(helper.make_tensor_value_info("more", 1, ["n"]))


def nothing(model: onnx.ModelProto) -> None:
    pass


def golden_values(values: NDArray[np.float64]) -> Callable[[Contract], Contract]:
    def change(contract: Contract) -> Contract:
        rows, columns = (side // 8 for side in contract.tiling.tile_shape)
        cells = np.resize(values, (rows, columns)).astype("<f2")
        packed = base64.b64encode(cells.tobytes()).decode()
        golden = contract.golden.model_copy(update={"probability_eighth": packed})
        return contract.model_copy(update={"golden": golden})

    return change


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (two_classes, r"output probability .*\(batch, 2, 320, 256\)"),
        (sideways, r"output probability .*\(batch, 1, 256, 320\)"),
        (in_double, r"tensor\(double\)"),
        (two_scores, "output has_mask"),
        (two_inputs, "2 inputs"),
    ],
)
def test_a_graph_whose_outputs_are_not_the_contracts_is_refused(
    change: Callable[[onnx.ModelProto], None],
    said: str,
    net: tuple[Path, Path, Path],
    tmp_path: Path,
) -> None:
    with pytest.raises(ContractError, match=said):
        Session.open(by_hand(net, tmp_path / "wrong.onnx", change))


def test_shapes_that_a_graph_keeps_to_itself_are_looked_at_when_it_runs(
    net: tuple[Path, Path, Path], tmp_path: Path
) -> None:
    session = Session.open(by_hand(net, tmp_path / "wrong.onnx", two_classes_unstated))
    with pytest.raises(ContractError, match=r"came out as \(1, 2, 320, 256\)"):
        check_golden(session)


@pytest.mark.parametrize(
    ("values", "error", "said"),
    [
        (np.linspace(-4, 4, 9), ContractError, "sigmoid or softmax missing"),
        (np.linspace(0.5, 0.73, 9), ContractError, "sigmoid of a sigmoid"),
        (np.linspace(0, 1, 9), DeviceError, "does not reproduce"),
    ],
    ids=["sigmoid missing", "two sigmoids", "another net's"],
)
def test_a_golden_answer_that_is_not_this_nets_is_refused(
    values: NDArray[np.float64],
    error: type[Exception],
    said: str,
    net: tuple[Path, Path, Path],
    tmp_path: Path,
) -> None:
    target = by_hand(net, tmp_path / "wrong.onnx", nothing, golden_values(values))
    with pytest.raises(error, match=said):
        open_model(target)
