import re
from pathlib import Path

import pytest

from service.batch.formats import FORMATS, complete_formats, parse_formats
from service.cli import Commands
from service.exit_status import MEANINGS

pytestmark = pytest.mark.integration


def test_formats_come_in_one_order() -> None:
    assert parse_formats("SR, csv,json") == ("json", "sr", "csv")


@pytest.mark.parametrize("text", ["", ",", "json,bmp"])
def test_an_unknown_format_is_refused_with_those_there_are(text: str) -> None:
    with pytest.raises(ValueError, match="json, png, seg"):
        parse_formats(text)


def test_the_last_of_several_formats_is_completed() -> None:
    assert complete_formats("json,seg") == ["json,seg", "json,seg-fractional"]
    assert complete_formats("") == list(FORMATS)


def test_the_page_about_the_command_line_names_every_format_status_and_command() -> None:
    page = (Path(__file__).parents[3] / "docs" / "command-line.md").read_text("utf-8")
    assert all(f"`{one}`" in page for one in FORMATS)
    told = {
        number for row in re.findall(r"^\| ([\d, ]+) \|", page, re.M) for number in row.split(", ")
    }
    assert {str(status) for status in MEANINGS} <= told
    assert [name for name in Commands.deferred if not re.search(rf"\b{name}\b", page)] == []
