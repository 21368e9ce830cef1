from typing import Any

import pytest

from model_export.adopt.errors import AdoptError
from model_export.adopt.json_files import needed
from model_export.adopt.monai_config import arguments, component, pipeline, resolved

pytestmark = pytest.mark.unit

CONFIG: dict[str, Any] = {
    "size": [64, 32],
    "alias": "@size",
    "net": {"blocks": [{"width": 8}]},
    "inferer": {
        "_target_": "monai.inferers.SlidingWindowInferer",
        "_requires_": "x",
        "roi_size": "@alias",
        "device": "$torch.device('cpu')",
    },
    "preprocessing": {
        "_target_": "Compose",
        "transforms": [
            {"_target_": "LoadImaged", "keys": "image"},
            {"_target_": "ScaleIntensityDict", "minv": 0.0, "allow_missing_keys": True},
            {"_target_": "monai.transforms.NormalizeIntensityD"},
            {"_target_": "Spacing", "_disabled_": True},
            {"_target_": "EnsureType"},
        ],
    },
}


def test_references_are_followed_through_lists_and_objects() -> None:
    assert resolved("@alias", CONFIG) == [64, 32]
    assert resolved("@size#1", CONFIG) == resolved("@size::1", CONFIG) == 32
    assert resolved("@net::blocks::0::width", CONFIG) == 8
    assert resolved(7, CONFIG) == 7


@pytest.mark.parametrize("name", ["@none", "@size::2", "@size::x", "@net::blocks::0::width::y"])
def test_a_reference_that_leads_nowhere_is_named(name: str) -> None:
    with pytest.raises(AdoptError, match=r"refers to .*, which is not there"):
        resolved(name, CONFIG)


def test_code_is_not_run() -> None:
    with pytest.raises(AdoptError, match="holds code"):
        resolved("$__import__('os').getpid()", CONFIG)
    with pytest.raises(AdoptError, match="holds code"):
        component({"_target_": "A", "size": "$1"}, CONFIG)


def test_a_component_is_its_class_and_its_literals() -> None:
    sliding = component("@inferer", CONFIG)
    assert sliding == {"_target_": "SlidingWindowInferer", "roi_size": [64, 32]}
    assert arguments(sliding) == {"roi_size": [64, 32]}
    assert component(None, CONFIG) == {}


def test_a_pipeline_is_its_transforms_as_they_are_called_without_dictionaries() -> None:
    found = pipeline(CONFIG, "preprocessing")
    assert [one["_target_"] for one in found] == [
        "LoadImage",
        "ScaleIntensity",
        "NormalizeIntensity",
        "EnsureType",
    ]
    assert arguments(found[1]) == {"minv": 0.0}
    assert pipeline(CONFIG, "postprocessing") == []
    with pytest.raises(AdoptError, match=r"inference\.json lacks transforms"):
        pipeline({"preprocessing": {}}, "preprocessing")


def test_a_key_that_is_missing_is_named_by_its_path() -> None:
    assert needed({"a": {"b": 1}}, "a", "b", file="x.json") == 1
    lacking: tuple[dict[str, Any], ...] = ({}, {"a": 1}, {"a": {}})
    for stored in lacking:
        with pytest.raises(AdoptError, match=r"x.json lacks a(\.b)?$"):
            needed(stored, "a", "b", file="x.json")
