import re

import pytest
from fastapi.testclient import TestClient

pytestmark = pytest.mark.integration


def test_the_page_needs_nothing_from_elsewhere(client: TestClient) -> None:
    answer = client.get("/")
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("text/html")
    assert "default-src 'none'" in answer.headers["content-security-policy"]
    assert re.findall(r"(?:src|href)\s*=\s*[\"']?(?:https?:)?//", answer.text) == []
    assert "not a medical device" in answer.text
