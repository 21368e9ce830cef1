"""Naming the flag that is wrong: what is tried, when it ends, and what is said."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import onnx
import pytest
from numpy.typing import NDArray
from typer.testing import CliRunner

from model_export.adopt import run, what_if
from model_export.adopt.__main__ import app
from model_export.adopt.errors import AdoptError, NotProven
from model_export.adopt.flags import Flags
from model_export.adopt.foreign import Foreign, View
from model_export.adopt.onnx_file import facts_of
from model_export.adopt.other_flags import changes
from model_export.adopt.run import AdoptResult, Naming, adopt
from tests.model_export.adopt.nets import (
    SPACING_MM,
    SpotNet,
    aim,
    as_onnx,
    display_of,
    logits_of,
    sigmoid,
    view_file,
)

pytestmark = pytest.mark.integration

RIGHT: dict[str, Any] = {"pixels": "0..1", "spacing_mm": SPACING_MM, "activation": "sigmoid"}


@pytest.fixture(scope="module")
def net(tmp_path_factory: pytest.TempPathFactory) -> tuple[SpotNet, Path, NDArray[np.float32]]:
    """Return a net of one logit on plain pixels, a folder with it, and the right probability."""
    folder = tmp_path_factory.mktemp("net")
    image = display_of(view_file(folder))[None]
    spots = aim(SpotNet(1, 1), image)
    onnx.save(as_onnx(spots), str(folder / "net.onnx"))
    return spots, folder, sigmoid(logits_of(spots, image))[0]


@pytest.fixture
def folder(net: tuple[SpotNet, Path, NDArray[np.float32]], tmp_path: Path) -> Path:
    """Return a folder with the net, the view and the right answer."""
    for one in net[1].iterdir():
        (tmp_path / one.name).write_bytes(one.read_bytes())
    np.save(tmp_path / "expected.npy", net[2])
    return tmp_path


def wrapped(folder: Path, *, expected: str | None = "expected.npy", **more: Any) -> AdoptResult:
    return adopt(
        folder / "net.onnx",
        folder / "view-L.dcm",
        folder / "adopted.onnx",
        Flags(**(RIGHT | more)),
        naming=Naming(),
        expected_path=None if expected is None else folder / expected,
        progress=more.pop("progress", lambda _: None),
    )


def hints(folder: Path, **more: Any) -> list[str]:
    with pytest.raises(NotProven) as refused:
        wrapped(folder, **more)
    assert not (folder / "adopted.onnx").exists()
    return [one.removeprefix("  - ") for one in str(refused.value).splitlines()[1:]]


def try_only(monkeypatch: pytest.MonkeyPatch, *flags: str) -> None:
    """Let a search take no longer than the test needs."""
    every = changes
    monkeypatch.setattr(
        what_if,
        "changes",
        lambda *given: [one for one in every(*given) if any(flag in one.said for flag in flags)],
    )


def test_a_mask_names_the_flag_as_a_probability_does(
    net: tuple[SpotNet, Path, NDArray[np.float32]], folder: Path
) -> None:
    cv2.imwrite(str(folder / "mask.png"), (net[2] >= 0.5).astype(np.uint8) * 255)
    assert hints(folder, expected="mask.png", invert=True) == [
        "leave out --invert: then it is proven (Dice 1.000)"
    ]


@pytest.mark.parametrize(
    ("turn", "said"),
    [
        (lambda values: values[:, ::-1], "mirror --expected left to right"),
        (lambda values: values[::-1], "turn --expected upside down"),
        (lambda values: values[::-1, ::-1], "turn --expected by 180 degrees"),
        (lambda values: 1 - values, "invert --expected, which marks what is no lesion"),
    ],
)
def test_an_answer_that_lies_otherwise_than_the_sample_is_named(
    turn: Any,
    said: str,
    net: tuple[SpotNet, Path, NDArray[np.float32]],
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    try_only(monkeypatch)
    np.save(folder / "turned.npy", turn(net[2]))
    assert hints(folder, expected="turned.npy") == [f"{said}: then it is proven"]


@pytest.mark.long
def test_two_wrong_flags_are_no_single_ones_and_the_nearest_are_named(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    try_only(monkeypatch, "--pixels", "--transpose", "--invert")
    first, *nearest = hints(folder, transpose=True, tile="320x320", pixels="z-score")
    assert first.startswith("no single flag mends it (") and first.endswith("the nearest:")
    assert 1 <= len(nearest) <= 2
    assert nearest[0].startswith(("say --pixels 0..1", "leave out --transpose"))
    assert "Dice 0." in nearest[0]


@pytest.mark.long
def test_an_answer_of_another_net_is_none_that_a_flag_mends(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    try_only(monkeypatch, "--invert", "--pixels 0..255", "--facing")
    away = np.zeros((300, 230), np.float32)
    away[:8, -8:] = 1.0
    np.save(folder / "away.npy", away)
    (said,) = hints(folder, expected="away.npy")
    assert said.startswith("no single flag mends it, and none comes nearer (")
    assert "another view or net" in said


@pytest.mark.long
def test_the_search_ends_when_its_time_is_over(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(what_if, "MAX_SECONDS", 0.0)
    (said,) = hints(folder, invert=True)
    assert "(0 tried of " in said and "then the time was over" in said


@pytest.mark.long
def test_whoever_waits_is_told_what_is_tried(folder: Path) -> None:
    told: list[str] = []
    with pytest.raises(NotProven):
        adopt(
            folder / "net.onnx",
            folder / "view-L.dcm",
            folder / "adopted.onnx",
            Flags(**(RIGHT | {"pixels": "0..255"})),
            naming=Naming(),
            expected_path=folder / "expected.npy",
            progress=told.append,
        )
    assert told[0].startswith("1 of ") and told[-1].endswith(
        "say --pixels 0..1 instead of --pixels 0..255"
    )


@pytest.mark.long
def test_the_command_says_on_stderr_that_it_searches_and_what_it_found(folder: Path) -> None:
    paths = {"--sample": "view-L.dcm", "--out": "adopted.onnx", "--expected": "expected.npy"}
    said = {"--pixels": "0..1", "--spacing": "0.8", "--activation": "sigmoid"}
    options = said | {flag: str(folder / name) for flag, name in paths.items()}
    arguments = [str(folder / "net.onnx"), *(word for pair in options.items() for word in pair)]
    done = CliRunner().invoke(app, [*arguments, "--invert"])
    assert done.exit_code == 1
    assert done.stdout == ""
    assert done.stderr.splitlines()[0] == "not proven; trying other flags on the sample"
    assert "\n  - leave out --invert: then it is proven" in done.stderr
    done = CliRunner().invoke(app, arguments)
    assert done.exit_code == 0 and done.stderr == ""
    assert "proven: 100.00% of the breast" in done.stdout


@pytest.mark.long
def test_what_a_net_does_not_take_is_left_out_and_other_errors_are_not_hidden(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise AdoptError("no such graph")

    def fail(*_: object) -> None:
        raise RuntimeError("a fault of ours")

    monkeypatch.setattr(what_if, "answer", refuse)
    (said,) = hints(folder, invert=True)
    assert "(0 tried)" in said
    monkeypatch.setattr(what_if, "answer", fail)
    with pytest.raises(RuntimeError, match="a fault of ours"):
        wrapped(folder, invert=True)


@pytest.mark.long
def test_a_change_that_is_refused_before_its_proof_is_not_advised(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    try_only(monkeypatch, "--invert")
    monkeypatch.setattr(what_if.Trials, "is_accepted", lambda *_: False)
    assert "then it is proven" not in "".join(hints(folder, invert=True))


def asked_of_a_framework(
    net: tuple[SpotNet, Path, NDArray[np.float32]],
    monkeypatch: pytest.MonkeyPatch,
    follows: frozenset[str] = frozenset(),
) -> None:
    """Let the ONNX file come from a framework that answers on plain pixels itself."""
    model = as_onnx(net[0])

    def predict(view: View) -> NDArray[np.float32]:
        return sigmoid(logits_of(net[0], view.as_stored("0..1")[None]))

    foreign = Foreign("spots", "spots", model, facts_of(model), predict, follows=follows)
    monkeypatch.setattr(run, "read", lambda *_: replace(foreign))


@pytest.mark.long
def test_the_frameworks_own_answer_names_the_flag_too(
    net: tuple[SpotNet, Path, NDArray[np.float32]], folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked_of_a_framework(net, monkeypatch)
    (said,) = hints(folder, expected=None, invert=True)
    assert said.startswith("leave out --invert: then it is proven")


def test_flags_that_the_framework_follows_are_not_advised(
    net: tuple[SpotNet, Path, NDArray[np.float32]], folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    try_only(monkeypatch, "--pixels", "--spacing", "--invert")
    asked_of_a_framework(net, monkeypatch, frozenset(("pixels",)))
    said = "".join(hints(folder, expected=None, pixels="0..255"))
    assert "--pixels" not in said and "--spacing" not in said


def test_a_proof_by_the_framework_says_what_it_took_as_said(
    net: tuple[SpotNet, Path, NDArray[np.float32]], folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked_of_a_framework(net, monkeypatch, frozenset(("pixels", "activation")))
    (said,) = wrapped(folder, expected=None).remarks
    assert "taken as said" in said and "--pixels 0..1 --activation sigmoid --spacing 0.8" in said


@pytest.mark.long
def test_a_breast_that_is_masked_is_refused_with_flags_that_look_better(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    try_only(monkeypatch, "--lesion-class")
    image = display_of(folder / "view-L.dcm")[None]
    onnx.save(as_onnx(aim(SpotNet(1, 2, seed=3), image)), str(folder / "net.onnx"))
    with pytest.raises(AdoptError, match="of the breast would be masked as a:") as refused:
        wrapped(folder, expected=None, activation="softmax", classes="a,b", lesion_class=("a",))
    assert "These look like answers, which proves nothing:" in str(refused.value)
    assert "\n  - say --lesion-class b instead of --lesion-class a: " in str(refused.value)


@pytest.mark.long
def test_an_answer_without_contrast_is_told_with_flags_that_look_better(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    try_only(monkeypatch, "--pixels")
    image = display_of(folder / "view-L.dcm")[None] * np.float32(65535)
    onnx.save(as_onnx(aim(SpotNet(1, 1, seed=3), image)), str(folder / "net.onnx"))
    said = "\n".join(wrapped(folder, expected=None).remarks)
    assert "the answer hardly changes over the breast" in said
    assert "say --pixels 0..65535 instead of --pixels 0..1: " in said


def test_an_answer_that_looks_like_one_is_not_searched(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(what_if, "plausible", lambda _: pytest.fail("searched"))
    assert wrapped(folder, expected=None).remarks[0].startswith("unproven")
