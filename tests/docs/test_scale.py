"""docs/scale.md says what is computed, from figures that were measured."""

import re
from pathlib import Path

import pytest
import yaml

from docs.generator.scale import PAGE, ROOT, Measured, Programme, page, sums
from service.outputs.dicom.registry import dicom_files
from service.outputs.result import result_of
from service.settings import Settings
from service.startup.models import open_model

pytestmark = pytest.mark.integration


def test_the_page_says_what_is_computed() -> None:
    assert (ROOT / PAGE).read_text("utf-8") == page(), "run `python -m docs.generator.scale`"
    assert "{{" not in page()


def test_another_measurement_makes_another_page() -> None:
    assert page(measured=Measured(seg=1e6)) != page()
    assert page(Programme(images_a_year=1e6)) != page()


def test_sums_are_those_of_the_back_of_an_envelope() -> None:
    said = sums(Programme(), Measured())
    # 10 million / 250 days / 10 hours x 2.5 / 3,600 s.
    assert float(said["peak a second"]) == pytest.approx(2.78, abs=0.01)
    # 1.39 a second x 17.04 MB x 8 bits.
    assert float(said["Mbit native"]) == pytest.approx(189, abs=1)
    # 2.78 a second x 0.329 core-s / 60 %.
    assert float(said["usual cores"]) == pytest.approx(1.52, abs=0.06)
    # 10 million x 2.35 MB.
    assert float(said["seg a year"]) == pytest.approx(23.5, abs=0.1)
    # 10,240 MiB / (1.39 a second x 2.36 MB), in minutes.
    assert float(said["inbox minutes"]) == pytest.approx(54.5, abs=0.5)


def test_half_the_images_take_half_of_everything() -> None:
    whole, half = (sums(Programme(images_a_year=n), Measured()) for n in (10e6, 5e6))
    for name in ("peak a second", "seg a year", "Mbit native", "site day results"):
        assert float(half[name]) == pytest.approx(float(whole[name]) / 2, rel=0.02, abs=0.6), name


def test_what_was_measured_stands_where_the_page_says() -> None:
    measured, benchmarks = Measured(), (ROOT / "benchmarks" / "README.md").read_text("utf-8")
    ours = next(
        line
        for line in benchmarks.split("## Peers by AVX2 alone")[1].splitlines()
        if line.startswith("| ours |")
    )
    one_tile, four_tiles = (float(re.findall(r"\(([\d.]+)\)", ours)[at]) for at in (3, 5))
    assert (one_tile, four_tiles) == (measured.small_core_s, measured.large_core_s)
    syntaxes = re.search(
        r"JPEG 2000 lossless (\d+), at half its resolution (\d+).*HTJ2K\s+lossless (\d+) and \d+; "
        r"not compressed (\d+)",
        benchmarks,
    )
    assert syntaxes is not None
    whole, half, htj2k, plain = map(int, syntaxes.groups())
    assert [round(1000 * seconds) for seconds in (
        measured.jpeg_2000_core_s, measured.jpeg_2000_half_core_s, measured.htj2k_core_s
    )] == [whole - plain, half - plain, htj2k - plain]  # fmt: skip
    outside = re.search(r"core-ms outside the net, upload included \| <= 60 \| (\d+)", benchmarks)
    assert outside is not None and int(outside[1]) == round(1000 * measured.outside_core_s)
    assert f"{measured.one_service_s:g} to 16" in (ROOT / "docs" / "gpu.md").read_text("utf-8")


def test_alerts_metrics_and_settings_are_those_there_are() -> None:
    text = page()
    rules = yaml.safe_load((ROOT / "deploy/prometheus/mammoseg.rules.yaml").read_text("utf-8"))
    alerts = {rule["alert"] for group in rules["groups"] for rule in group["rules"]}
    assert set(re.findall(r"`(Mammoseg\w+)`", text)) <= alerts
    metrics = (ROOT / "docs" / "metrics.md").read_text("utf-8")
    for name in set(re.findall(r"`(mammoseg_\w+)`", text)):
        assert f"`{name}`" in metrics, name
    for name in set(re.findall(r"`([A-Z]+(?:_[A-Z]+)+)[=`]", text)):
        assert name.lower() in Settings.model_fields, name
    assert Settings.model_fields["inbox_mib"].default == 10_240


@pytest.mark.long
@pytest.mark.slow
def test_results_of_the_eight_views_are_as_large_as_the_page_says(cbis_files: list[Path]) -> None:
    sizes = []
    with open_model() as segmenter:
        for file in cbis_files:
            findings = segmenter.segment(file.read_bytes())
            seg, sr = map(len, dicom_files(("seg", "sr"), findings))
            sizes.append((seg, sr, len(result_of(findings, (), 0).model_dump_json())))
    seg, sr, json = (sum(column) / len(sizes) for column in zip(*sizes, strict=True))
    measured = Measured()
    assert (seg, sr, json) == pytest.approx((measured.seg, measured.sr, measured.json), rel=0.02)
