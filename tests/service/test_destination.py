import pytest
from pydantic import ValidationError

from service.destination import Destination
from service.settings import Settings

pytestmark = pytest.mark.unit


def test_urls_are_enough() -> None:
    first, second = Settings(destinations="https://pacs/dicom-web/, http://b:8042/x").destinations
    assert (first.name, first.studies_url) == ("pacs/dicom-web", "https://pacs/dicom-web/studies")
    assert (second.name, second.studies_url) == ("b:8042/x", "http://b:8042/x/studies")


def test_objects_say_more(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(
        "MAMMOSEG_DESTINATIONS",
        '[{"url": "https://a/b", "name": "archive", "token": "s3cret", "verify": false}]',
    )
    (destination,) = Settings().destinations
    assert destination.token is not None and destination.token.get_secret_value() == "s3cret"
    assert (destination.name, destination.verify) == ("archive", False)
    assert "s3cret" not in repr(Settings())


@pytest.mark.parametrize(
    "given",
    [
        {"url": "ftp://a/b"},
        {"url": "https://user:s3cret@a/b"},  # pragma: allowlist secret
        {"url": "https://a/b?key=s3cret"},
        {"url": "https://a", "token": "s3cret", "username": "u", "password": "s3cret"},
        {"url": "https://a", "username": "u"},
        {"url": "https://a", "tokn": "s3cret"},
        {"url": "https://a", "name": "line\nbreak"},
    ],
)
def test_what_is_wrong_is_said_without_secrets(given: dict[str, str]) -> None:
    with pytest.raises(ValidationError) as refused:
        Destination.model_validate(given)
    assert "s3cret" not in str(refused.value)


@pytest.mark.parametrize("text", ["[{", '[{"url": 1}]', "a,b", "http://a,http://a"])
def test_the_setting_is_checked(text: str) -> None:
    with pytest.raises(ValidationError):
        Settings(destinations=text)
