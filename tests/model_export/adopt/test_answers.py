"""What the files say and what the caller says, put together without any net."""

from dataclasses import replace

import pytest

from model_export.adopt.answers import FREE_TILE, Settled, check_values, settle
from model_export.adopt.errors import AdoptError, Unanswered
from model_export.adopt.flags import IMAGENET_DEVIATION, IMAGENET_MEAN, RANGES, Flags
from model_export.adopt.foreign import Activation, Facts, InputRange

pytestmark = pytest.mark.unit

NOTHING = Facts(channels=1, outputs=1)
ALL = Facts(
    channels=1,
    outputs=1,
    pixels=InputRange(),
    activation="sigmoid",
    spacing_mm=0.2,
    tile=(256, 192),
)
CLASSES = replace(ALL, outputs=3, class_names=("background", "mass", "calcification"))


def test_a_file_that_says_everything_needs_no_flag() -> None:
    settled = settle(ALL, Flags())
    assert settled == Settled(
        ALL, InputRange(), "sigmoid", (0,), ("lesion",), 0.2, (256, 192), False, Flags()
    )
    assert not settled.transposed
    assert settle(ALL, Flags(transpose=True)).transposed
    assert not settle(replace(ALL, columns_first=True), Flags(transpose=True)).transposed


def test_everything_that_nobody_says_is_asked_at_once_with_the_flag_that_answers_it() -> None:
    with pytest.raises(Unanswered) as caught:
        settle(replace(NOTHING, outputs=2), Flags())
    asked = [
        next(
            flag
            for flag in ("--pixels", "--spacing", "--activation", "--lesion-class")
            if flag in one
        )
        for one in caught.value.questions
    ]
    assert asked == ["--pixels", "--spacing", "--activation", "--lesion-class"]
    assert "class 0, class 1" in str(caught.value)


def test_flags_answer_what_the_files_do_not_say() -> None:
    said = Flags(pixels="0..255", activation="none", spacing_mm=0.1, tile="512x256")
    settled = settle(replace(NOTHING, region="nonzero"), said)
    assert settled.pixels == InputRange(scale=255.0, region="nonzero")
    assert (settled.activation, settled.spacing_mm) == ("none", 0.1)
    assert (settled.tile, settled.free) == ((512, 256), False)
    free = settle(NOTHING, replace(said, tile=None))
    assert (free.tile, free.free) == (FREE_TILE, True)


@pytest.mark.parametrize(
    ("flags", "mean", "deviation"),
    [
        (Flags(mean="0.5"), (0.5,), (1.0,)),
        (Flags(mean="0.5,0.4,0.3", deviation="2"), (0.5, 0.4, 0.3), (2.0,)),
        (Flags(pixels="0..1", mean="0.5,0.4,0.3"), (0.5, 0.4, 0.3), (1.0,)),
    ],
)
def test_mean_and_deviation_come_after_what_is_known_of_the_pixels(
    flags: Flags, mean: tuple[float, ...], deviation: tuple[float, ...]
) -> None:
    pixels = settle(replace(ALL, channels=3), flags).pixels
    assert (pixels.mean, pixels.deviation) == (mean, deviation)


def test_numbers_of_the_files_go_after_the_range_that_is_said() -> None:
    of_stored_values = replace(ALL, pixels=None, mean=(90.0,), deviation=(60.0,))
    with pytest.raises(Unanswered, match="--pixels"):
        settle(of_stored_values, Flags())
    assert settle(of_stored_values, Flags(pixels="0..255")).pixels == InputRange(
        scale=255.0, mean=(90.0,), deviation=(60.0,)
    )


@pytest.mark.parametrize("seen", [(float("nan"), float("nan")), (0.0, float("inf"))])
def test_a_net_that_answers_no_numbers_is_refused(seen: tuple[float, float]) -> None:
    with pytest.raises(AdoptError, match="answers no numbers"):
        check_values(settle(ALL, Flags()), seen)


def test_imagenets_numbers_are_those_of_three_channels() -> None:
    unknown = replace(ALL, pixels=None)
    assert settle(replace(unknown, channels=3), Flags(pixels="imagenet")).pixels == InputRange(
        mean=IMAGENET_MEAN, deviation=IMAGENET_DEVIATION
    )
    with pytest.raises(AdoptError, match="takes 1 channel"):
        settle(unknown, Flags(pixels="imagenet"))


@pytest.mark.parametrize(
    ("facts", "flags", "said"),
    [
        (replace(ALL, pixels=RANGES["z-score"]), Flags(pixels="0..1"), "contradicts the files"),
        (ALL, Flags(pixels="min-max"), "contradicts the files, which say 0..1"),
        (replace(ALL, channels=3), Flags(pixels="imagenet"), "which say 0..1"),
        (
            replace(ALL, channels=3, pixels=RANGES["imagenet"]),
            Flags(pixels="0..1"),
            "--pixels 0..1 contradicts the files, which say imagenet",
        ),
        (replace(ALL, pixels=RANGES["0..255"]), Flags(pixels="9..90"), "which say 0..255"),
        (
            replace(ALL, pixels=InputRange(mean=(0.4,))),
            Flags(pixels="0..1"),
            "which say 0..1 with a mean and a deviation",
        ),
        (ALL, Flags(mean="nan"), "--mean nan: finite numbers"),
        (ALL, Flags(deviation="0"), "nothing is divided by 0"),
        (replace(ALL, spacing_mm=None), Flags(spacing_mm=0.0), "--spacing 0: millimetres"),
        (replace(ALL, spacing_mm=None), Flags(spacing_mm=float("nan")), "--spacing nan"),
        (CLASSES, Flags(classes="a,b,b"), "two classes have one name"),
        (CLASSES, Flags(classes="a,,b"), "two classes have one name, or one has none"),
        (ALL, Flags(mean="a"), "--mean a: numbers"),
        (ALL, Flags(deviation="1,2"), "takes 1 channel"),
        (ALL, Flags(spacing_mm=0.21), "contradicts the files, which say 0.2 mm"),
        (ALL, Flags(tile="256x256"), "takes 256x192 and no other"),
        (ALL, Flags(activation="softmax"), "contradicts the files, which say sigmoid"),
        (replace(ALL, activation="none"), Flags(activation="sigmoid"), "probabilities already"),
        (replace(ALL, activation=None), Flags(activation="softmax"), "softmax over one class"),
        (CLASSES, Flags(classes="a,b"), "3 output channel.s., and 2 classes are named: a, b"),
        (CLASSES, Flags(lesion_class=("cyst",)), "classes 0 .background., 1 .mass."),
        (CLASSES, Flags(lesion_class=("3",)), "the net has the classes"),
        (CLASSES, Flags(lesion_class=("background",)), "is the background's"),
        (CLASSES, Flags(lesion_class=("mass", "1")), "names one class twice"),
        (
            replace(CLASSES, activation="softmax", class_names=("a", "b", "c")),
            Flags(lesion_class=("a", "b", "c")),
            "every class is named a lesion",
        ),
        (
            replace(CLASSES, activation="none", exclusive=True, class_names=("a", "b", "c")),
            Flags(lesion_class=("0", "1", "2")),
            "every class is named a lesion",
        ),
    ],
)
def test_what_contradicts_or_makes_no_sense_is_refused(
    facts: Facts, flags: Flags, said: str
) -> None:
    with pytest.raises(AdoptError, match=said):
        settle(facts, flags)


def test_a_spacing_within_a_hundredth_is_the_files_own() -> None:
    assert settle(ALL, Flags(spacing_mm=0.2019)).spacing_mm == 0.2


def test_lesions_are_named_by_name_or_number_or_by_the_files() -> None:
    assert settle(CLASSES, Flags(lesion_class=("calcification", "1"))).lesions == (2, 1)
    assert settle(replace(CLASSES, lesions=(1,)), Flags()).lesions == (1,)
    # Several independent classes may all be lesions.
    alike = replace(CLASSES, class_names=("a", "b", "c"))
    assert settle(alike, Flags(lesion_class=("a", "b", "c"))).lesions == (0, 1, 2)


def test_one_logit_of_two_classes_is_the_seconds() -> None:
    assert settle(ALL, Flags(classes="background,mass")).names == ("mass",)
    assert settle(replace(ALL, class_names=("mass",)), Flags()).names == ("mass",)


@pytest.mark.parametrize(
    ("activation", "seen", "said"),
    [
        ("none", (-3.0, 2.0), "a sigmoid or softmax is missing"),
        ("sigmoid", (0.0, 1.0), "probabilities already"),
        ("none", (0.0, 1.00009), None),
        ("sigmoid", (-3.0, 2.0), None),
        # A net that answers one value everywhere shows nothing.
        ("sigmoid", (0.5, 0.5), None),
    ],
)
def test_an_activation_too_many_or_too_few_is_seen_in_the_answers(
    activation: Activation, seen: tuple[float, float], said: str | None
) -> None:
    settled = settle(replace(ALL, activation=activation), Flags())
    if said is None:
        check_values(settled, seen)
    else:
        with pytest.raises(AdoptError, match=said):
            check_values(settled, seen)
