"""A name that is not known is refused where it would be taken for one that is."""

import pytest
from fastapi.testclient import TestClient

from service.api.segment import router as segment
from service.api.studies import router as studies

pytestmark = pytest.mark.integration

CANARY = "MUSTERMANN"
ROUTES = {"segment": segment, "studies": studies}

MISSPELT = {
    "pixel_spacing": "pixel_spacing_mm",
    "pixel-spacing-mm": "pixel_spacing_mm",
    "pixel_spacing_mm[]": "pixel_spacing_mm",
    "PixelSpacingMM": "pixel_spacing_mm",
    "Gate": "gate",
    "gated": "gate",
    "models": "model",
}
FIELDS = ("pixel_spacing", "pixel-spacing-mm", "pixel_spacing_mm[]", "PixelSpacingMM")
"""Of those, what nothing else can be meant by in a form."""


def refused(client: TestClient, route: str, png: bytes, *, fields: object, query: object) -> str:
    """Return what a refusal of a form says."""
    answer = client.post(f"/v1/{route}", files={"f": png}, data=fields, params=query)  # type: ignore[arg-type]
    assert (answer.status_code, answer.json()["code"]) == (400, "unknown-parameter"), answer.text
    assert CANARY not in answer.text
    return str(answer.json()["detail"])


@pytest.mark.parametrize("route", ROUTES)
@pytest.mark.parametrize(("name", "meant"), MISSPELT.items())
def test_a_name_that_is_nearly_known_is_refused_and_the_known_one_told(
    client: TestClient, phantom_png: bytes, route: str, name: str, meant: str
) -> None:
    said = {name: CANARY}
    assert f"Is {meant} meant?" in refused(client, route, phantom_png, fields={}, query=said)
    if name in FIELDS:
        assert f"Is {meant} meant?" in refused(client, route, phantom_png, fields=said, query={})


@pytest.mark.parametrize("route", ROUTES)
@pytest.mark.parametrize(
    "name", [CANARY, "", "x" * 4000, f"{CANARY}\0", "٣", "_", "pixel_spacing_mm" + "[]" * 25]
)
def test_any_other_name_is_refused_in_a_query_alone(
    client: TestClient, phantom_png: bytes, route: str, name: str
) -> None:
    said = refused(client, route, phantom_png, fields={}, query={name: "1"})
    assert "Known are" in said and "meant" not in said and "pixel_spacing_mm" in said
    query = {"pixel_spacing_mm": "1"}
    form = {name or "x": "1"}
    answer = client.post(f"/v1/{route}", files={"f": phantom_png}, data=form, params=query)
    assert answer.status_code == 200


@pytest.mark.parametrize("name", ["frame", "output", "include", "max_side"])
def test_a_study_takes_not_all_that_an_image_does(
    client: TestClient, phantom_png: bytes, name: str
) -> None:
    refused(client, "studies", phantom_png, fields={}, query={name: "1"})


@pytest.mark.parametrize("route", ROUTES)
def test_a_field_that_only_the_query_takes_is_refused(
    client: TestClient, phantom_png: bytes, route: str
) -> None:
    (operation,) = ROUTES[route].routes
    names = {each.alias for each in operation.dependant.query_params}  # type: ignore[attr-defined]
    assert names > {"gate", "model"}
    for name in names - {"pixel_spacing_mm", "frame"}:
        for spelt in (name, name.upper(), name.replace("_", "-")):
            said = refused(client, route, phantom_png, fields={spelt: "false"}, query={})
            assert f"{name} is a parameter of the query" in said


OWN = (
    *("name", "date", "modality", "state", "note", "description", "mode", "max_size", "maxsize"),
    *("frameid", "framerate", "output_dir", "include_all", "models", "date_gated", "x" * 4000),
)


@pytest.mark.parametrize("name", OWN)
def test_a_field_of_a_forms_own_is_passed_over(
    client: TestClient, phantom_png: bytes, name: str
) -> None:
    answer = client.post("/v1/segment", files={"f": phantom_png}, data={name: "1"})
    assert answer.status_code == 200


@pytest.mark.parametrize("name", ["models", "name", "_"])
def test_a_question_of_the_model_names_it_or_is_refused(client: TestClient, name: str) -> None:
    answer = client.get("/v1/model", params={name: CANARY})
    assert (answer.status_code, answer.json()["code"]) == (400, "unknown-parameter")
    assert "model" in answer.json()["detail"] and CANARY not in answer.text


# None of these takes anything: nothing can be meant. Nor are other names errors in DICOMweb.
@pytest.mark.parametrize("url", ["/health/live", "/health/ready"])
def test_a_question_may_carry_names_of_others(client: TestClient, url: str) -> None:
    assert client.get(url, params={"_": "1700000000"}).status_code == 200
