"""An AE title is the same wherever it is set."""

from collections.abc import Callable
from urllib.parse import quote

import pytest
from pydantic import ValidationError

from service.destinations.store import DicomDestination
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
@pytest.mark.parametrize("title", [" ", "SEVENTEEN LETTERS", "A\\B", "A\tB", "MÜLLER"])
def test_what_is_none_is_refused_in_each_place(title: str, place: str) -> None:
    assert not is_ae_title(title)
    with pytest.raises(ValidationError):
        PLACES[place](title)


@pytest.mark.parametrize("title", [" A", "A ", "A\n"])
def test_white_space_around_one_is_none_of_it_where_a_setting_or_a_field_is_no_more(
    title: str,
) -> None:
    """Leading and trailing spaces of an AE count nowhere (PS3.5 6.2), and files end in newlines."""
    assert not is_ae_title(title)
    assert PLACES["ours"](title).scp_ae_title == "A"
    (archive,) = PLACES["one to call by"](title).destinations
    assert isinstance(archive, DicomDestination) and archive.calling_ae == "A"
    with pytest.raises(ValidationError):
        PLACES["an archive's"](title)
