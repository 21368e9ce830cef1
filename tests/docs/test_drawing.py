"""The picture of a request's way says what the code says."""

import xml.etree.ElementTree as ElementTree
from pathlib import Path

import pytest

from docs.generator.drawing import PICTURE, WAY, drawing, rooms

pytestmark = pytest.mark.integration

ROOT = Path(__file__).parents[2]


def test_the_picture_has_not_drifted_from_the_code() -> None:
    drawn = (ROOT / PICTURE).read_text(encoding="utf-8")
    assert drawn == drawing(), "run `python -m docs.generator.drawing`"


def test_the_picture_shows_each_stop_in_order() -> None:
    texts = [each.text or "" for each in ElementTree.fromstring(drawing()).iter() if each.text]
    shown = [text.rstrip("/") for text in texts if text.startswith("service/")]
    assert shown == [stop.room for stop in WAY]
    for stop in WAY:
        assert set(stop.modules) <= set(texts)


def test_the_page_names_every_room_of_the_service() -> None:
    page = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    assert [room for room in rooms() if f"[{room}](../{room})" not in page] == []
