import re

import pytest
from fastapi.testclient import TestClient

from service.api.viewer import PARTS, STATIC

pytestmark = pytest.mark.integration

MODULES = sorted(name for name in PARTS if name.endswith(".js"))


def test_the_page_needs_nothing_from_elsewhere(client: TestClient) -> None:
    answer = client.get("/")
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("text/html")
    assert "not a medical device" in answer.text
    for text in (answer.text, *(content.decode() for content, _ in PARTS.values())):
        links = re.findall(r"(?:https?:)?//[a-z0-9.-]+\.[a-z]{2,}[^\s\"')]*", text)
        # Names of XML namespaces are no addresses.
        assert [link for link in links if "www.w3.org" not in link] == []


@pytest.mark.parametrize("path", ["/", *(f"/page/{name}" for name in PARTS)])
def test_page_and_parts_come_with_a_policy_that_allows_nothing_inline(
    client: TestClient, path: str
) -> None:
    answer = client.get(path)
    assert answer.status_code == 200
    policy = answer.headers["content-security-policy"]
    assert policy.startswith("default-src 'none'; script-src 'self'; style-src 'self';")
    assert "unsafe" not in policy
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["cache-control"] == "no-store"


def test_the_document_holds_no_script_style_or_handler_of_its_own(client: TestClient) -> None:
    text = client.get("/").text
    assert re.findall(r"<style|\sstyle=|\son[a-z]+=|<script(?![^>]*\ssrc=)", text) == []


@pytest.mark.parametrize("path", ["/page/none.js", "/page/..%2findex.html", "/page/"])
def test_what_is_no_part_of_the_page_is_not_found(client: TestClient, path: str) -> None:
    answer = client.get(path)
    assert answer.status_code == 404
    assert answer.json()["code"] == "not-found"


def test_every_file_of_the_page_is_served_and_every_import_is_there() -> None:
    assert {path.name for path in (STATIC / "page").iterdir()} == set(PARTS)
    told = (STATIC / "index.html").read_text(encoding="utf-8")
    asked = set(re.findall(r'"page/([\w.-]+)"', told))
    for name in MODULES:
        asked |= set(re.findall(r'"\./([\w.-]+)"', PARTS[name][0].decode()))
        asked |= set(re.findall(r'new URL\("([\w.-]+)"', PARTS[name][0].decode()))
    assert asked == set(PARTS)


@pytest.mark.parametrize("name", MODULES)
def test_modules_make_no_markup_of_text_and_run_no_text(name: str) -> None:
    text = PARTS[name][0].decode()
    assert (
        re.findall(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(", text) == []
    )
    assert (
        re.findall(r"new Function|localStorage|sessionStorage|indexedDB|document\.cookie", text)
        == []
    )
