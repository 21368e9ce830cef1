import json
import os
import stat
import threading
from pathlib import Path

import pytest
from typer.testing import CliRunner

from service.access.keys import (
    MAX_FILE_BYTES,
    PREFIX,
    KeysFileError,
    changing_keys,
    digest_of,
    make_key,
    read_keys,
)
from service.access.scopes import Scope
from service.commands.keys import app
from tests.service.access.api_keys import key

pytestmark = pytest.mark.unit


def run(*words: str) -> tuple[int, str]:
    result = CliRunner().invoke(app, list(words))
    return result.exit_code, result.output


def test_a_key_is_random_and_says_what_it_is() -> None:
    keys = {make_key() for _ in range(100)}
    assert len(keys) == 100
    assert all(one.startswith(PREFIX) and len(one) > len(PREFIX) + 40 for one in keys)


def test_what_is_written_is_read_again(tmp_path: Path) -> None:
    file = tmp_path / "keys.json"
    with changing_keys(file) as keys:
        keys += [key("a"), key("b", "y", (Scope.INBOX, Scope.METRICS))]
    with changing_keys(file) as keys:
        assert [one.name for one in keys] == ["a", "b"]
        del keys[0]
    assert read_keys(file) == (key("b", "y", (Scope.INBOX, Scope.METRICS)),)
    assert [entry.name for entry in tmp_path.iterdir()] == ["keys.json"]


def test_the_file_holds_no_key_and_is_its_owners_alone(tmp_path: Path) -> None:
    file = tmp_path / "keys.json"
    status, output = run("add", "pacs", "--scopes", "inbox,segment", "--file", str(file))
    secret = output.split()[-1]
    assert status == 0 and secret.startswith(PREFIX)
    text = file.read_text()
    assert secret not in text and secret.removeprefix(PREFIX) not in text
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert read_keys(file)[0].digest == digest_of(secret)
    assert read_keys(file)[0].scopes == {Scope.INBOX, Scope.SEGMENT}


def test_a_changed_file_keeps_the_mode_that_it_had(tmp_path: Path) -> None:
    file = tmp_path / "keys.json"
    run("add", "a", "--file", str(file))
    file.chmod(0o640)
    run("add", "b", "--file", str(file))
    assert stat.S_IMODE(file.stat().st_mode) == 0o640


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root")
def test_what_root_writes_the_service_can_read(tmp_path: Path) -> None:
    os.chown(tmp_path, 10001, 10001)
    file = tmp_path / "keys.json"
    run("add", "a", "--file", str(file))
    assert (file.stat().st_uid, file.stat().st_gid) == (10001, 10001)
    os.chown(file, 10002, 10003)
    run("add", "b", "--file", str(file))
    assert (file.stat().st_uid, file.stat().st_gid) == (10002, 10003)


def test_a_link_to_the_file_stays_one(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    link = tmp_path / "keys.json"
    link.symlink_to(tmp_path / "real" / "k.json")
    assert run("add", "a", "--file", str(link))[0] == 0
    assert link.is_symlink() and read_keys(tmp_path / "real" / "k.json")[0].name == "a"


def test_keys_are_listed_and_removed_by_name(tmp_path: Path) -> None:
    file = str(tmp_path / "keys.json")
    for name in ("a", "b"):
        run("add", name, "--file", file, "--scopes", "metrics")
    assert run("remove", "a", "--file", file) == (0, "")
    status, output = run("list", "--file", file)
    assert status == 0 and [line.split()[:2] for line in output.splitlines()] == [["b", "metrics"]]
    assert run("remove", "a", "--file", file)[0] == 2


@pytest.mark.parametrize(
    "words",
    [
        ["add", "a", "--scopes", "root"],
        ["add", "a", "--scopes", ","],
        ["add", "a b"],
        ["add", "-"],
        ["add", "a\n"],
        ["add", "a" * 65],
        ["remove", "a"],
        ["list"],
    ],
    ids=lambda words: "-".join(words).replace("\n", "n"),
)
def test_a_command_that_makes_no_sense_changes_nothing(tmp_path: Path, words: list[str]) -> None:
    assert run(*words, "--file", str(tmp_path / "keys.json"))[0] == 2
    assert not list(tmp_path.iterdir())


def test_a_name_is_given_once(tmp_path: Path) -> None:
    file = tmp_path / "keys.json"
    run("add", "a", "--file", str(file))
    before = file.read_bytes()
    assert run("add", "a", "--file", str(file))[0] == 2
    assert file.read_bytes() == before


GOOD = {"name": "a", "sha256": "0" * 64, "scopes": ["segment"], "created": "2026-11-29"}
BROKEN = {
    "empty": "",
    "no JSON": "keys",
    "no object": "[]",
    "another version": json.dumps({"version": 2, "keys": []}),
    "a key in the clear": json.dumps({"version": 1, "keys": [GOOD | {"key": "mammoseg_x"}]}),
    "no hash": json.dumps({"version": 1, "keys": [GOOD | {"sha256": "secret-of-mine"}]}),
    "no scope": json.dumps({"version": 1, "keys": [GOOD | {"scopes": []}]}),
    "an unknown scope": json.dumps({"version": 1, "keys": [GOOD | {"scopes": ["all"]}]}),
    "a name with a line break": json.dumps({"version": 1, "keys": [GOOD | {"name": "a\n"}]}),
    "one name twice": json.dumps({"version": 1, "keys": [GOOD, GOOD]}),
    "too many": json.dumps({"version": 1, "keys": [GOOD | {"name": str(n)} for n in range(1001)]}),
    "too long": " " * (MAX_FILE_BYTES + 1),
}


@pytest.mark.parametrize("text", BROKEN.values(), ids=BROKEN.keys())
def test_a_file_that_is_none_is_refused_without_a_word_of_it(tmp_path: Path, text: str) -> None:
    file = tmp_path / "keys.json"
    file.write_text(text)
    with pytest.raises(KeysFileError) as refused:
        read_keys(file)
    assert "secret-of-mine" not in str(refused.value) and "mammoseg_x" not in str(refused.value)


def test_two_who_add_at_once_lose_nothing(tmp_path: Path) -> None:
    file = tmp_path / "keys.json"

    def add(start: int) -> None:
        for number in range(start, start + 10):
            with changing_keys(file) as keys:
                keys.append(key(f"k{number}"))

    threads = [threading.Thread(target=add, args=(start,)) for start in (0, 100, 200)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(read_keys(file)) == 30


def test_a_change_that_fails_leaves_the_file_as_it_was(tmp_path: Path) -> None:
    file = tmp_path / "keys.json"
    run("add", "a", "--file", str(file))
    before = file.read_bytes()
    with pytest.raises(RuntimeError), changing_keys(file) as keys:
        keys.clear()
        raise RuntimeError
    assert file.read_bytes() == before
    assert len(list(tmp_path.iterdir())) == 1
