import pytest

from service.imaging.intent import intent
from tests.dicom_files import MAMMOGRAPHY_FOR_PRESENTATION, dataset

pytestmark = pytest.mark.unit

FOR_PROCESSING = "1.2.840.10008.5.1.4.1.1.1.2.1"
PROJECTION_FOR_PRESENTATION = "1.2.840.10008.5.1.4.1.1.13.1.4"
PROJECTION_FOR_PROCESSING = "1.2.840.10008.5.1.4.1.1.13.1.5"
TOMOSYNTHESIS = "1.2.840.10008.5.1.4.1.1.13.1.3"
SECONDARY_CAPTURE = "1.2.840.10008.5.1.4.1.1.7"
MULTI_FRAME_CAPTURE = "1.2.840.10008.5.1.4.1.1.7.3"


@pytest.mark.parametrize(
    ("elements", "kind"),
    (
        ({}, "presentation"),
        ({"PresentationIntentType": None}, "presentation"),
        ({"SOPClassUID": None}, "presentation"),
        ({"SOPClassUID": FOR_PROCESSING}, "processing"),
        ({"SOPClassUID": FOR_PROCESSING, "PresentationIntentType": None}, "processing"),
        ({"SOPClassUID": None, "PresentationIntentType": "FOR PROCESSING"}, "processing"),
        ({"PresentationIntentType": "FOR PROCESSING"}, "presentation"),
        ({"SOPClassUID": SECONDARY_CAPTURE, "PresentationIntentType": None}, "film"),
        ({"SOPClassUID": None, "PresentationIntentType": None, "ConversionType": "DF"}, "film"),
        ({"SOPClassUID": None, "PresentationIntentType": None, "ConversionType": "WSD"}, "film"),
        ({"SOPClassUID": None, "PresentationIntentType": None}, "unstated"),
        ({"SOPClassUID": "1.2.3", "PresentationIntentType": ""}, "unstated"),
        ({"SOPClassUID": MULTI_FRAME_CAPTURE, "PresentationIntentType": None}, "film"),
        ({"SOPClassUID": PROJECTION_FOR_PROCESSING, "PresentationIntentType": None}, "processing"),
        (
            {"SOPClassUID": PROJECTION_FOR_PRESENTATION, "PresentationIntentType": None},
            "presentation",
        ),
        ({"SOPClassUID": TOMOSYNTHESIS, "PresentationIntentType": None}, "unstated"),
    ),
)
def test_intent(elements, kind):
    assert intent(dataset(None, **elements)) == kind
    assert MAMMOGRAPHY_FOR_PRESENTATION != FOR_PROCESSING
