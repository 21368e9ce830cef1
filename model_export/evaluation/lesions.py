"""How many lesions are found, at which price in false positives."""

from collections.abc import Sequence

from model_export.detection import AveragePrecision
from model_export.evaluation.bootstrap import Measure, Named, mean_of
from model_export.evaluation.choices import outlined, searched_of, with_lesions
from model_export.evaluation.image_result import ImageResult
from model_export.froc import Candidates, Froc, join_views

FALSE_POSITIVES = (0.125, 0.25, 0.5, 1.0, 2.0, 4.0)
"""An image: the points of the FROC that are reported."""

GAIN_RATES = (0.25, 1.0)
"""At which it is said what several views of one breast add."""


def lesion_figures(images: Sequence[ImageResult]) -> Named:
    """Yield the figures on lesions of one source; none where no lesion is outlined."""
    drawn = with_lesions(images)
    if not drawn:
        return
    searched = searched_of(images)
    net = Froc([outlined(image).candidates for image in searched])
    blobs = Froc([outlined(image).blobs for image in searched])
    precision = AveragePrecision([outlined(image).boxes for image in searched])
    for rate in FALSE_POSITIVES:
        yield f"lesion_sensitivity_at_{rate:g}_fp", searched, _found(net, rate)
    yield "froc_mean", searched, lambda weights: net.sensitivities(weights, FALSE_POSITIVES).mean(1)
    if has_views_to_join(drawn):
        joined = Froc(joined_candidates(searched))
        for rate in FALSE_POSITIVES:
            name = f"lesion_sensitivity_any_view_at_{rate:g}_fp"
            yield name, searched, _found(joined, rate)
        for rate in GAIN_RATES:
            yield f"any_view_gain_at_{rate:g}_fp", searched, _gain(joined, net, rate)
    for rate in FALSE_POSITIVES:
        yield f"lesion_sensitivity_at_{rate:g}_fp_on_normals", searched, _found(net, rate, True)
    yield "blob_sensitivity_at_1_fp", searched, _found(blobs, 1.0)
    yield "average_precision_50", searched, precision.values
    yield "images_hit", drawn, mean_of([outlined(image).mask_hits for image in drawn])


def has_views_to_join(images: Sequence[ImageResult]) -> bool:
    """Say whether any breast is shown by two of the images."""
    return len({image.breast for image in images}) < len(images)


def joined_candidates(images: Sequence[ImageResult]) -> list[Candidates]:
    """Return the candidates of outlined images counted by breast: see `froc.join_views`."""
    candidates = [outlined(image).candidates for image in images]
    return join_views(candidates, [image.breast for image in images])


def _found(froc: Froc, rate: float, normals: bool = False) -> Measure:
    return lambda weights: froc.sensitivities(weights, [rate], normals=normals)[:, 0]


def _gain(joined: Froc, net: Froc, rate: float) -> Measure:
    after, before = _found(joined, rate), _found(net, rate)
    return lambda weights: after(weights) - before(weights)
