from typing import get_args

import pytest
from pydantic import ValidationError

from service.destinations.registry import KINDS, AnyDestination
from service.destinations.store import DicomDestination
from service.destinations.stow import StowDestination
from service.settings import Settings

pytestmark = pytest.mark.unit


def test_both_tables_name_the_same_kinds_and_the_error_all_their_schemes() -> None:
    union, by_scheme = get_args(AnyDestination)
    tagged = {tag.tag: kind for kind, tag in map(get_args, get_args(union))}
    assert tagged == KINDS
    for kind in KINDS.values():
        assert all(scheme in by_scheme.custom_error_message for scheme in kind.schemes)


def test_urls_are_enough() -> None:
    first, second = Settings(destinations="https://pacs/dicom-web/, http://b:8042/x").destinations
    assert isinstance(first, StowDestination) and isinstance(second, StowDestination)
    assert (first.name, first.studies_url) == ("pacs/dicom-web", "https://pacs/dicom-web/studies")
    assert (second.name, second.studies_url) == ("b:8042/x", "http://b:8042/x/studies")


def test_objects_say_more(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(
        "MAMMOSEG_DESTINATIONS",
        '[{"url": "https://a/b", "name": "archive", "token": "s3cret", "verify": false}]',
    )
    (destination,) = Settings().destinations
    assert isinstance(destination, StowDestination)
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
        Settings(destinations=(given,))
    assert "s3cret" not in str(refused.value)


@pytest.mark.parametrize("text", ["[{", '[{"url": 1}]', "a,b", "http://a,http://a"])
def test_the_setting_is_checked(text: str) -> None:
    with pytest.raises(ValidationError):
        Settings(destinations=text)


def test_a_dicom_address_says_all_that_an_object_says() -> None:
    text = "dicom://PACS@pacs:104?commitment=true&calling_ae=READER, dicoms://MY%20ARCHIVE@[::1]"
    first, second = Settings(destinations=text).destinations
    assert isinstance(first, DicomDestination) and isinstance(second, DicomDestination)
    assert (first.name, first.calling_ae, first.commitment_s) == ("PACS@pacs:104", "READER", 3600)
    assert (second.name, second.commitment_s) == ("MY%20ARCHIVE@[::1]", None)
    assert first.url == "dicom://PACS@pacs:104"
    again = Settings.model_validate(Settings(destinations=text).model_dump())
    assert again.destinations == (first, second)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("ftp://a", "begins with http, https, dicom or dicoms"),
        ("dicom://pacs:104", "should match pattern"),
        ("dicom://SEVENTEENLETTERS1@pacs:104", "1 to 16 characters"),
        ("dicom://A%5CB@pacs:104", "1 to 16 characters"),
        ("dicom://A@pacs:0", "a host and a port"),
        ("dicom://A@pacs:99999", "is no port"),
        ("dicom://A@pacs?commitment=perhaps", "boolean"),
        ("dicom://A@pacs?token=x", "not permitted"),
        ("dicom://A@pacs?certificate=/a.pem", "a certificate needs dicoms"),
        ("dicoms://A@pacs?key=/a.key", "a key goes with a certificate"),
        ('[{"url": "http://a", "certificate": "/a.pem"}]', "a certificate needs https"),
        ("dicom://A@pacs,dicom://A@pacs?commitment=true", "same name"),
    ],
)
def test_what_is_wrong_with_an_address_is_said(text: str, why: str) -> None:
    with pytest.raises(ValidationError, match=why):
        Settings(destinations=text)


def test_no_two_kinds_have_a_scheme_in_common() -> None:
    schemes = [scheme for kind in KINDS.values() for scheme in kind.schemes]
    assert len(schemes) == len(set(schemes))
