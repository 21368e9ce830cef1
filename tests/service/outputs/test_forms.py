import pytest

from mammoseg.client import calls
from service.api.encode import PICTURES
from service.batch.formats import FORMATS
from service.outputs.dicom.registry import OUTPUTS
from service.outputs.forms import DICOM_OBJECTS, FORMS

pytestmark = pytest.mark.unit


def test_the_names_are_those_of_the_outputs() -> None:
    assert tuple(OUTPUTS) == DICOM_OBJECTS
    assert ("json", *PICTURES, *OUTPUTS) == FORMS


def test_the_command_line_and_the_client_make_every_dicom_object() -> None:
    assert set(OUTPUTS) < set(FORMATS)
    assert tuple(OUTPUTS) == calls.DICOM_KINDS
