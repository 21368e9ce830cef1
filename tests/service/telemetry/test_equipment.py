import random
from itertools import product
from typing import Any

import pytest
from pydantic import ValidationError

from service.imaging.source_header import SourceHeader, tag_of
from service.metrics import ImageFacts, Metrics
from service.settings import Settings
from service.telemetry.equipment import (
    MANUFACTURERS,
    MODELS,
    OTHER,
    UNSTATED,
    Equipment,
    bits_stored,
)

pytestmark = pytest.mark.unit


def header(manufacturer: bytes = b"", model: bytes = b"", **more: Any) -> SourceHeader:
    given = {"Manufacturer": manufacturer, "ManufacturerModelName": model} | more
    elements = tuple((tag_of(name), None, value) for name, value in given.items() if value)
    return SourceHeader(elements, (), implicit=True, little_endian=True)


@pytest.mark.parametrize(
    ("manufacturer", "model", "unit"),
    [
        (b"HOLOGIC, Inc.", b"Selenia Dimensions", ("hologic", "dimensions")),
        (b"HOLOGIC, Inc. ", b"3Dimensions ", ("hologic", "3dimensions")),
        (b"LORAD", b"Lorad Selenia", ("hologic", "selenia")),
        (b"GE MEDICAL SYSTEMS", b"Senographe Pristina", ("ge", "pristina")),
        (b"GE HEALTHCARE\0", b"Senograph 2000D ADS_54.11", ("ge", "2000d")),
        (b"SIEMENS", b"Mammomat  Inspiration", ("siemens", "inspiration")),
        (b"Siemens Healthineers", b"MAMMOMAT Revelation", ("siemens", "revelation")),
        (b"FUJIFILM Corporation", b"FDR-3000AWS (AMULET)", ("fujifilm", "amulet")),
        (b"IMS s.r.l.", b"GIOTTO CLASS", ("giotto", "class")),
        (b"GEORGE", b"Pristina", (OTHER, OTHER)),
        (b"HOLOGIC, Inc.", b"Doe^Jane", ("hologic", OTHER)),
        (b"Doe^Jane", b"", (OTHER, UNSTATED)),
        (b"\xff\xfe", b"\xff", (OTHER, OTHER)),
        (b"", b"Selenia", (UNSTATED, UNSTATED)),
    ],
)
def test_a_unit_is_counted_under_a_name_of_the_list(
    manufacturer: bytes, model: bytes, unit: tuple[str, str]
) -> None:
    assert Equipment().unit(header(manufacturer, model)) == unit


def test_what_is_no_dicom_states_no_unit() -> None:
    assert Equipment().unit(None) == (UNSTATED, UNSTATED)
    assert bits_stored(None) is None


def test_an_operator_has_further_units_counted_apart() -> None:
    equipment = Equipment.of(("Metaltronica/Helianthus DBT", "Nobody/New"))
    assert equipment.unit(header(b"METALTRONICA", b"Helianthus DBT")) == (
        "metaltronica",
        "helianthus dbt",
    )
    assert equipment.unit(header(b"nobody", b"NEW")) == ("nobody", "new")
    assert equipment.unit(header(b"nobody", b"newer")) == (OTHER, OTHER)


@pytest.mark.parametrize("named", ["one", "/", "maker/", "/model", ",".join(["a/b"] * 101)])
def test_a_unit_that_is_written_otherwise_is_no_setting(named: str) -> None:
    with pytest.raises(ValidationError, match="metrics_units"):
        Settings(metrics_units=named)


def test_ten_thousand_manufacturers_and_models_of_a_stranger_make_no_series() -> None:
    metrics, equipment, chance = Metrics(), Equipment(), random.Random(7)
    for index in range(10_000):
        name = bytes(chance.choices(range(32, 127), k=12)) + str(index).encode()
        unit = equipment.unit(header(name, name[::-1]))
        metrics.score.labels(*unit).observe(0.5)
    known = {
        OTHER,
        UNSTATED,
        *MANUFACTURERS,
        *(one for models in MODELS.values() for one in models),
    }
    units = {
        (sample.labels["manufacturer"], sample.labels["model"])
        for family in metrics.registry.collect()
        if family.name == "mammoseg_score"
        for sample in family.samples
    }
    assert {label for unit in units for label in unit} <= known
    assert (OTHER, OTHER) in units
    # What a stranger who knows the list can do.
    most = sum(len(models) + 2 for models in MODELS.values()) + 2 * len(MANUFACTURERS) + 3
    assert len({*units, *product(MANUFACTURERS, (OTHER,))}) <= most < 100


@pytest.mark.parametrize(
    ("raw", "bits"), [(b"\x0c\0", 12), (b"\x10\0", 16), (b"\0\0", None), (b"\x0c", None)]
)
def test_bits_stored_are_read_where_they_make_sense(raw: bytes, bits: int | None) -> None:
    assert bits_stored(header(BitsStored=raw)) == bits


def test_facts_that_are_not_known_are_not_counted() -> None:
    metrics = Metrics()
    facts = ImageFacts("other", "other", 0.3, False, None, None, None, 1, ("spacing-assumed",), {})
    metrics.observe_image("request", facts)
    counted = {
        sample.name
        for family in metrics.registry.collect()
        for sample in family.samples
        if sample.labels.get("manufacturer") and sample.name.endswith("_count")
    }
    assert counted == {"mammoseg_score_count"}
