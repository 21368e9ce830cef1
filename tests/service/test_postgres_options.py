from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from service.postgres_options import PostgresOptions
from service.settings import Settings

pytestmark = pytest.mark.integration

URL = "postgresql://mammoseg:s3cret@db.example:5433/inbox"  # pragma: allowlist secret


def test_a_url_says_how_the_database_is_reached() -> None:
    options = PostgresOptions.parse(
        "postgres://a%20b:p%40ss@db.example:5433/"  # pragma: allowlist secret
        "in%2Fbox?sslmode=verify-ca&sslrootcert=/ca.pem"
        "&sslcert=/c.pem&sslkey=/k.pem"
    )
    assert options == PostgresOptions(
        "db.example",
        5433,
        "in/box",
        "a b",
        "p@ss",
        "verify-ca",
        Path("/ca.pem"),
        Path("/c.pem"),
        Path("/k.pem"),
    )


@pytest.mark.parametrize(
    ("host", "mode"),
    [
        ("db.example", "verify-full"),
        ("10.0.0.1", "verify-full"),
        ("localhost", "disable"),
        ("127.0.0.2", "disable"),
        ("[::1]", "disable"),
    ],
)
def test_the_servers_certificate_is_checked_unless_it_is_this_machine(host: str, mode: str) -> None:
    assert PostgresOptions.parse(f"postgresql://a@{host}/b").mode == mode


def test_a_host_that_is_a_folder_is_that_of_a_unix_socket() -> None:
    options = PostgresOptions.parse("postgresql://a@/b?host=/run/postgresql")
    assert options.socket_file == "/run/postgresql/.s.PGSQL.5432"
    assert PostgresOptions.parse(URL).socket_file is None


@pytest.mark.parametrize(
    "url",
    [
        "",
        "mysql://a@b/c",
        "postgresql://b/c",
        "postgresql://a@/c",
        "postgresql://a@b",
        "postgresql://a@b:port/c",
        "postgresql://a@b/c?sslmode=prefer",
        "postgresql://a@b/c?options=x",
        "postgresql://a@b/c?sslmode",
        "postgresql://a@b/c#d",
    ],
)
def test_what_is_no_such_url_is_refused(url: str) -> None:
    with pytest.raises(ValidationError, match="inbox_database"):
        Settings(inbox_database=url)


def test_the_password_comes_from_a_file_and_is_never_shown(tmp_path: Path) -> None:
    file = tmp_path / "password"
    file.write_text("from a file\n")
    without = URL.replace(":s3cret", "")
    settings = Settings(inbox_database=without, inbox_database_password_file=file)
    assert settings.postgres_options().password == "from a file"
    assert Settings(inbox_database=URL).postgres_options().password == "s3cret"
    for shown in (Settings(inbox_database=URL), Settings(inbox_database=URL).postgres_options()):
        assert "s3cret" not in repr(shown) and "s3cret" not in str(shown)


@pytest.mark.parametrize(
    ("given", "why"),
    [
        ({"inbox_database": URL, "inbox_database_password_file": "here"}, "a file of it, too"),
        ({"inbox_database": URL, "inbox_database_password_file": "gone"}, "cannot be read"),
        ({"inbox_database_password_file": "here"}, "needs inbox_database"),
        ({"inbox_database": URL, "inbox_lease_s": 1}, "greater than or equal to 3"),
    ],
)
def test_settings_that_contradict_each_other_are_refused_without_the_secret(
    tmp_path: Path, given: dict[str, Any], why: str
) -> None:
    (tmp_path / "here").write_text("x")
    if "inbox_database_password_file" in given:
        given = given | {
            "inbox_database_password_file": tmp_path / given["inbox_database_password_file"]
        }
    with pytest.raises(ValidationError, match=why) as refused:
        Settings(**given)
    assert "s3cret" not in str(refused.value)
