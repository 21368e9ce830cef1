from dataclasses import replace

import pytest

from service.batch.archive.judge import Assignment, Judge
from service.batch.made_by import made_by
from service.errors import StartupError
from service.segmenter import SegmentOptions
from service.settings import Settings

pytestmark = pytest.mark.unit


def test_a_machine_with_another_model_or_version_judges_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("service.batch.made_by.read_model", lambda _: b"model")
    monkeypatch.setattr("service.batch.archive.judge.open_segmenter", lambda _: None)
    settings, options = Settings(), SegmentOptions()
    meant = Assignment(settings, options, (), made_by(settings, options))
    Judge(meant, 1)
    for other in (replace(meant, version="0.0.1"), replace(meant, made_by="another")):
        with pytest.raises(StartupError, match="another model or version"):
            Judge(other, 1)
