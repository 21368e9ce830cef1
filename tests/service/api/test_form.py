import pytest

from service.api.form import choose_form, choose_forms, choose_without_dicom
from service.errors import NotAcceptable
from service.outputs.forms import Form

pytestmark = pytest.mark.unit


@pytest.mark.parametrize(
    ("output", "accept", "form"),
    [
        (None, "", "json"),
        (None, "*/*", "json"),
        (None, "application/json", "json"),
        (None, "image/png", "overlay"),
        (None, "image/*", "overlay"),
        (None, "text/html, image/png;q=0.9, */*;q=0.1", "overlay"),
        (None, "image/png;q=0.5, application/json;q=0.4", "overlay"),
        (None, "image/png;q=0, */*", "json"),
        (None, "application/json;q=0, */*", "overlay"),
        ("mask", "application/json", "mask"),
        ("json", "image/png", "json"),
        ("heatmap", "", "heatmap"),
        (None, "application/dicom", "seg"),
        ("cad-sr", "application/dicom", "cad-sr"),
    ],
)
def test_output_wins_over_accept(output: str | None, accept: str, form: Form) -> None:
    assert choose_form(output, accept) == form


@pytest.mark.parametrize(
    ("output", "accept"),
    [("gif", ""), ("", ""), (None, "text/html"), (None, "image/png;q=0"), (None, "*/*;q=nonsense")],
)
def test_what_cannot_be_met_is_refused(output: str | None, accept: str) -> None:
    with pytest.raises(NotAcceptable):
        choose_form(output, accept)


@pytest.mark.parametrize(
    ("accept", "form"),
    [
        ("application/dicom, application/json;q=0.5", "json"),
        ("application/dicom, image/png;q=0.2, application/json;q=0.1", "overlay"),
        ("application/dicom;q=0.9, */*;q=0.1", "json"),
        ("application/dicom, application/json;q=0", "seg"),
        ("application/dicom", "seg"),
    ],
)
def test_what_is_accepted_next_is_given_of_an_image_that_is_no_dicom(
    accept: str, form: Form
) -> None:
    forms = choose_forms(None, accept)
    assert forms == ("seg",)
    assert choose_without_dicom(forms, accept) == (form,)


@pytest.mark.parametrize("accept", ["", " ", "image/png", "*/*", "image/png, application/json"])
def test_what_is_no_dicom_object_stays_as_it_was_chosen(accept: str) -> None:
    forms = choose_forms(None, accept)
    assert choose_without_dicom(forms, accept) == forms


def test_several_dicom_objects_may_be_asked_for_together() -> None:
    assert choose_forms("seg,sr,seg,sc", "") == ("seg", "sr", "sc")
    assert choose_forms("mask", "") == ("mask",)
    assert choose_forms(None, "image/png") == ("overlay",)


def test_any_forms_may_be_asked_for_together() -> None:
    assert choose_forms("json,image,seg,json", "image/png") == ("json", "image", "seg")


@pytest.mark.parametrize("output", ["seg,", ",", "seg,gif", "json, mask"])
def test_what_is_no_form_is_refused_among_others_too(output: str) -> None:
    with pytest.raises(NotAcceptable):
        choose_forms(output, "")
