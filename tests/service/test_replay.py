import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import msgspec
import pytest
from fastapi.testclient import TestClient
from structlog.testing import capture_logs
from typer.testing import CliRunner, Result

from service.app import create_app
from service.cli import app
from service.replay import Images, Replay, Replayer, lines_of
from service.segmenter import SegmentOptions
from service.settings import Settings
from service.startup.models import open_model
from service.telemetry.inference_line import InferenceLine, LineWriter, Pseudonyms
from tests.identity_net import write_identity_net
from tests.service.api.conftest import breast_phantom
from tests.service.inbox.conftest import mammogram

pytestmark = pytest.mark.integration

SECRET = b"a secret of a site"


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a model, images, and lines of their inferences."""
    folder = tmp_path_factory.mktemp("site")
    (folder / "secret").write_bytes(SECRET + b"\n")
    images = folder / "images" / "deep"
    images.mkdir(parents=True)
    settings = Settings(
        model=write_identity_net(folder / "identity.onnx"),
        device="cpu",
        runners=1,
        readers=1,
        inference_log=folder / "lines.jsonl",
        study_secret_file=folder / "secret",
    )
    with TestClient(create_app(settings)) as client:
        for name, query, body in (
            ("a.dcm", "?gate=false", mammogram(1)),
            ("b.dcm", "?output=overlay", mammogram(2)),
            ("c.png", "?pixel_spacing_mm=0.7", cv2.imencode(".png", breast_phantom())[1].tobytes()),
        ):
            (images / name).write_bytes(body)
            assert client.post(f"/v1/segment{query}", content=body).status_code == 200
    (folder / "images" / "notes.txt").write_text("no image")
    return folder


@pytest.fixture(scope="module")
def lines(site: Path) -> list[InferenceLine]:
    found = list(lines_of((site / "lines.jsonl").read_text()))
    return [line for line in found if isinstance(line, InferenceLine)]


@pytest.fixture(scope="module")
def replayer(site: Path) -> Iterator[Replayer]:
    with open_model(site / "identity.onnx") as segmenter:
        yield Replayer(segmenter, Images(site / "images", Pseudonyms(SECRET)))


def changed(line: InferenceLine, **result: Any) -> InferenceLine:
    return msgspec.structs.replace(line, result=msgspec.structs.replace(line.result, **result))


def test_every_bit_comes_out_again_on_the_same_machine(
    lines: list[InferenceLine], replayer: Replayer
) -> None:
    assert [replayer.replay(line) for line in lines] == [Replay("same")] * 3
    assert lines[0].result.mask_pixels > 0


@pytest.mark.parametrize(
    ("part", "value"),
    [
        ("score", 0.25),
        ("probability_xxh3", "0" * 32),
        ("mask_xxh3", "0" * 32),
        ("warnings", ("implant",)),
        ("regions", 99),
        ("rows", 1),
        ("mask_pixels", 3),
        ("decision", None),
    ],
)
def test_what_differs_is_named(
    lines: list[InferenceLine], replayer: Replayer, part: str, value: object
) -> None:
    said = replayer.replay(changed(lines[0], **{part: value}))
    now = getattr(lines[0].result, part)
    assert said == Replay("different", differences={part: (value, now)})


def test_another_machine_may_differ_within_the_tolerance_which_is_said(
    lines: list[InferenceLine], replayer: Replayer
) -> None:
    elsewhere = msgspec.structs.replace(lines[0], machine="another, avx2")
    assert replayer.replay(elsewhere).verdict == "same"
    score = lines[0].result.score
    near = changed(elsewhere, probability_xxh3="0" * 32, score=score + 1e-7)
    said = replayer.replay(near)
    assert (said.verdict, said.compared) == ("within-tolerance", "tolerance")
    assert "machine was another, avx2" in said.why[0]
    assert said.differences.keys() == {"probability_xxh3", "score"}
    for far in ({"score": score + 0.5}, {"decision": None}, {"mask_pixels": 1}):
        assert replayer.replay(changed(elsewhere, **far)).verdict == "different"


def test_a_file_may_lie_elsewhere_under_another_name(
    lines: list[InferenceLine], replayer: Replayer, site: Path, tmp_path: Path
) -> None:
    shutil.copy(site / "images" / "deep" / "b.dcm", tmp_path / "renamed")
    elsewhere = Replayer(replayer._segmenter, Images(tmp_path, Pseudonyms(SECRET)))
    assert elsewhere.replay(lines[1]) == Replay("same")
    assert elsewhere.replay(lines[0]).verdict == "image-missing"


def test_without_the_secret_an_image_must_be_given_by_itself(
    lines: list[InferenceLine], replayer: Replayer, site: Path
) -> None:
    unnamed = msgspec.structs.replace(lines[0], image=None)
    said = replayer.replay(unnamed)
    assert said.verdict == "image-missing" and "--images" in said.why[0]
    alone = Images(site / "images" / "deep" / "a.dcm", Pseudonyms(None))
    assert Replayer(replayer._segmenter, alone).replay(unnamed) == Replay("same")


def test_an_image_that_is_refused_now_is_a_difference(
    lines: list[InferenceLine], replayer: Replayer, site: Path
) -> None:
    unnamed = msgspec.structs.replace(lines[0], image=None)
    text = Images(site / "images" / "notes.txt", Pseudonyms(None))
    said = Replayer(replayer._segmenter, text).replay(unnamed)
    assert said.verdict == "different" and "refused" in said.differences


def test_another_model_is_not_compared(lines: list[InferenceLine], replayer: Replayer) -> None:
    other = msgspec.structs.replace(lines[0], sha256="0" * 64)
    assert replayer.replay(other).verdict == "other-model"


def run(site: Path, monkeypatch: pytest.MonkeyPatch, *arguments: str | Path) -> Result:
    for name, file in (("MODEL", "identity.onnx"), ("STUDY_SECRET_FILE", "secret")):
        monkeypatch.setenv(f"MAMMOSEG_{name}", str(site / file))
    monkeypatch.setenv("MAMMOSEG_DEVICE", "cpu")
    monkeypatch.setenv("MAMMOSEG_READERS", "1")
    monkeypatch.setattr("service.commands.replay.configure_logs", lambda *_, **__: None)
    with capture_logs():
        return CliRunner().invoke(app, ["replay", *map(str, arguments)])


def test_the_command_replays_a_file_of_lines(site: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lines, images = site / "lines.jsonl", site / "images"
    done = run(site, monkeypatch, lines, "--images", images, "--json")
    said = [json.loads(line) for line in done.stdout.splitlines()]
    assert (done.exit_code, [each["verdict"] for each in said]) == (0, ["same"] * 3)


def test_the_command_replays_a_line_among_others_and_ends_with_1_where_it_differs(
    site: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    line = json.loads((site / "lines.jsonl").read_text().splitlines()[0])
    line["result"]["score"] = 0.25
    log = f'{{"event": "ready"}}\n{json.dumps(line | {"level": "info"})}\n'
    (tmp_path / "log").write_text(log)
    done = run(site, monkeypatch, tmp_path / "log", "--images", site / "images")
    assert done.exit_code == 1
    assert "different (compared by bits)" in done.stdout and "score: was 0.25, is" in done.stdout


def test_a_broken_line_is_named_and_the_others_are_tried(
    site: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, *others = (site / "lines.jsonl").read_bytes().splitlines()
    # Broken off within a letter, another line behind it.
    broken = b'{"event": "inference", "model": "\xc3' + others[0]
    text = b"\n".join((first, broken, b'{"event": "inference"}', *others))
    (tmp_path / "lines").write_bytes(text)
    done = run(site, monkeypatch, tmp_path / "lines", "--images", site / "images")
    assert (done.exit_code, done.stdout.count(": same")) == (1, 3)
    for said in ("line 2 is no line", "line 3 is no line", "2 of 5 lines are no lines"):
        assert said in done.stderr
    told = run(site, monkeypatch, tmp_path / "lines", "--images", site / "images", "--json")
    verdicts = [json.loads(line)["verdict"] for line in told.stdout.splitlines()]
    assert verdicts == ["same"] * 3 + ["no-line"] * 2


def test_what_only_looks_like_the_end_of_a_line_is_none(lines: list[InferenceLine]) -> None:
    named = msgspec.structs.replace(lines[0], model="a\u2028b\x85c")
    assert list(lines_of(msgspec.json.encode(named).decode())) == [named]


@pytest.mark.parametrize("text", ['{"event": "inference"}', "{broken", '{"event": "ready"}', "no"])
def test_what_is_no_line_ends_with_2(
    site: Path, monkeypatch: pytest.MonkeyPatch, text: str
) -> None:
    def never(_: Settings) -> None:
        raise AssertionError

    monkeypatch.setattr("service.commands.replay.open_segmenter", never)
    done = run(site, monkeypatch, text, "--images", site)
    assert done.exit_code == 2 and done.stderr


@pytest.mark.long
@pytest.mark.slow
@pytest.mark.parametrize("step", [4, pytest.param(1, marks=pytest.mark.long)])
def test_a_real_mammogram_comes_out_again_bit_for_bit_whatever_the_number_of_threads(
    cbis_files: list[Path], step: int
) -> None:
    options, said = SegmentOptions(picture_side=0), []
    bodies = {file: file.read_bytes() for file in cbis_files[step // 2 :: step]}
    with open_model(runners=2) as segmenter:
        writer = LineWriter(segmenter.net.model_info, Pseudonyms(SECRET))
        lines = {
            file: writer.line(
                segmenter.segment(body, "dicom", options), body, "dicom", options, "request"
            )
            for file, body in bodies.items()
        }
    with open_model(runners=1) as segmenter:
        for file, line in lines.items():
            replayer = Replayer(segmenter, Images(file, Pseudonyms(SECRET)))
            said.append(replayer.replay(line))
    assert said == [Replay("same")] * len(lines)
    assert any(line.result.mask_pixels for line in lines.values())
