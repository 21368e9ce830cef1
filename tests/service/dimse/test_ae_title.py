"""An AE title is the same wherever it is set."""

from collections.abc import Callable
from urllib.parse import quote

import pytest
from pydantic import ValidationError

from service.dimse.ae_title import is_ae_title
from service.settings import Settings

pytestmark = pytest.mark.unit

PLACES: dict[str, Callable[[str], Settings]] = {
    "ours": lambda title: Settings(scp_ae_title=title),
    "a caller's": lambda title: Settings(scp_callers=frozenset((title,))),
    "an archive's": lambda title: Settings(destinations=f"dicom://{quote(title, safe='')}@h:104"),
    "one to call by": lambda title: Settings(
        destinations=f"dicom://PACS@h:104?calling_ae={quote(title, safe='')}"
    ),
}


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("title", ["A", "MAMMO SEG", "a-b_c.1", "SIXTEEN LETTERS1", "[A]"])
def test_an_ae_title_is_taken_in_each_place(title: str, place: str) -> None:
    assert is_ae_title(title)
    PLACES[place](title)


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize(
    "title", [" ", " A", "A ", "SEVENTEEN LETTERS", "A\\B", "A\n", "A\tB", "MÜLLER"]
)
def test_what_is_none_is_refused_in_each_place(title: str, place: str) -> None:
    assert not is_ae_title(title)
    with pytest.raises(ValidationError):
        PLACES[place](title)
