"""The statements say what the code says, and the objects that are made are what they say."""

import inspect
import re
from collections.abc import Iterator
from dataclasses import replace
from io import BytesIO
from pathlib import Path
from typing import Any

import pydicom
import pytest
import yaml
from pydicom import Dataset, dcmread

from docs.generator.audit_tables import TRIGGERS
from docs.generator.content_tree import key_of, value_of, walked
from docs.generator.made_objects import KINDS, is_code
from docs.generator.object_tables import EXTENDED
from docs.generator.result_cases import with_classes
from docs.generator.statements import PAGES, ROOT, TABLES, VALUES, statement
from service.audit import events
from service.findings import Findings
from service.imaging.frames import FRAME_OF_SEVERAL
from service.inbox.scp import application_entity
from service.outputs.dicom.not_run import NotRun, not_run_report
from service.outputs.dicom.registry import OUTPUTS, dicom_file
from service.outputs.dicom.text import HeaderText, is_person_name
from service.settings import Settings
from tests.findings_by_hand import findings_by_hand
from tests.mammogram_headers import VENDORS, full_header
from tests.service.audit.samples import every_kind
from tests.statement_page import PAGE, attributes, content_items, rows

pytestmark = pytest.mark.integration

REPORTS = ("sr", "cad-sr", "not-run")


def file_of(kind: str, findings: Findings, header: Dataset) -> bytes:
    if kind == "not-run":
        why = NotRun("refused", "multi-frame", "It has several frames.", "1" * 64)
        return not_run_report(why, findings.model, header)[0]
    return dicom_file(kind, findings, header)


@pytest.mark.long
@pytest.mark.parametrize(("page", "template"), PAGES.items(), ids=map(str, PAGES))
def test_a_statement_has_not_drifted_from_the_code(page: Path, template: Path) -> None:
    written = (ROOT / page).read_text("utf-8")
    made = statement((ROOT / template).read_text("utf-8"))
    assert written == made, "run `python -m docs.generator.statements`"


@pytest.mark.parametrize(("page", "template"), PAGES.items(), ids=map(str, PAGES))
def test_but_for_what_is_learned_from_results_it_has_not_drifted(
    page: Path, template: Path
) -> None:
    # Those tables take ten seconds of making results; a made object is held against them below.
    learned = r"\{\{(?:objects|file meta information)\}\}"
    parts = map(statement, re.split(learned, (ROOT / template).read_text("utf-8")))
    made = "(?s:.*)".join(map(re.escape, parts))
    written = (ROOT / page).read_text("utf-8")
    assert re.fullmatch(made, written), "run `python -m docs.generator.statements`"


def test_no_table_is_left_out() -> None:
    asked = {
        name
        for template in PAGES.values()
        for name in re.findall(r"\{\{([^}]+)\}\}", (ROOT / template).read_text("utf-8"))
    }
    assert asked == TABLES.keys() | VALUES.keys()


def images(cbis_files: list[Path]) -> Iterator[tuple[str, Findings, Dataset]]:
    """Return images that the statement was not made of."""
    for file in cbis_files[:2]:
        yield file.stem, findings_by_hand(), pydicom.dcmread(file, stop_before_pixels=True)
    findings = findings_by_hand(blobs=((0.5, 0.4, 0.2, 0.9),), gate=False, score=0.2)
    yield "ungated", findings, full_header(PatientID="other", SOPInstanceUID="1.2.3.4.5")
    frame = replace(findings_by_hand((64, 48), frame=31), caveats=(FRAME_OF_SEVERAL,))
    yield "frame", frame, full_header(**(VENDORS["fuji"] | {"PatientName": None}), StudyDate=None)
    many = tuple((0.05 + 0.1 * (n // 3), 0.1 + 0.25 * (n % 3), 0.03, 0.9) for n in range(27))
    header = full_header(IssuerOfPatientID=None)
    yield "many findings", findings_by_hand((400, 300), blobs=many), header
    yield "classes", with_classes(findings_by_hand(blobs=((0.6, 0.3, 0.07, 0.9),))), header


@pytest.mark.parametrize("kind", KINDS)
def test_a_made_object_has_the_attributes_that_are_listed_and_no_others(
    kind: str, cbis_files: list[Path]
) -> None:
    listed = {row.path: row for row in attributes(kind)}
    assert len(listed) > 40
    for name, findings, header in images(cbis_files):
        made = dcmread(BytesIO(file_of(kind, findings, header)))
        for path, item in items(made):
            within = {row.path[-1]: row for row in listed.values() if row.path[:-1] == path}
            there = {tag_of(element.tag) for element in item}
            assert there - within.keys() == set(), (name, path)
            for tag, row in within.items():
                check(item, tag, row.presence, row.fixed, (name, *row.path))


def check(item: Dataset, tag: str, presence: str, fixed: str | None, where: Any) -> None:
    element = item.get(int(tag[1:5] + tag[6:10], 16))
    if presence != "ANAP":
        assert element is not None, where
    if presence == "ALWAYS":
        assert not element.is_empty, where
    if presence == "EMPTY":
        assert element.is_empty or not element.value, where
    if fixed is not None and element is not None and element.VR != "SQ":
        shown = map(str, element.value) if element.VM > 1 else [str(element.value)]
        assert "\\".join(shown) == fixed, where


Tags = tuple[str, ...]


def items(dataset: Dataset, path: Tags = ()) -> Iterator[tuple[Tags, Dataset]]:
    yield path, dataset
    for element in dataset:
        if element.VR == "SQ" and element.keyword != "ContentSequence":
            if element.value and all(map(is_code, element.value)):
                continue
            for item in element.value:
                yield from items(item, (*path, tag_of(element.tag)))


def tag_of(tag: Any) -> str:
    return f"({tag.group:04X},{tag.element:04X})"


@pytest.mark.parametrize("kind", REPORTS)
def test_a_made_report_has_the_content_items_that_are_listed_and_no_others(
    kind: str, cbis_files: list[Path]
) -> None:
    listed = {row.path: row for row in content_items(kind)}
    assert len(listed) > 20
    for name, findings, header in images(cbis_files):
        made = dcmread(BytesIO(file_of(kind, findings, header)))
        for path, item in walked(made):
            at = tuple("|".join(key) for key in path)
            assert at in listed, (name, at[-1])
            if listed[at].fixed is not None:
                assert value_of(item) == listed[at].fixed
            has = {"|".join(key_of(child)) for child in item.get("ContentSequence", [])}
            always = {
                row.path[-1]
                for row in listed.values()
                if row.path[:-1] == at and row.presence == "ALWAYS"
            }
            assert always - has == set(), (name, at[-1])


def test_nothing_made_is_private_or_of_no_module() -> None:
    assert EXTENDED not in PAGE.read_text("utf-8")
    for kind in KINDS:
        made = dcmread(BytesIO(file_of(kind, findings_by_hand(), full_header())))
        assert not any(element.tag.is_private for element in made.iterall())


@pytest.mark.parametrize("term", [term.strip("`") for (term,) in rows("Defined term")])
def test_text_in_each_character_set_that_is_listed_is_copied_byte_for_byte(term: str) -> None:
    header = full_header(SpecificCharacterSet=term, PatientName="Canary^Patient")
    text = HeaderText(header)
    assert text.read("PatientName", is_person_name) == "Canary^Patient"
    assert text.character_set() == (term,)


def test_what_the_ihe_statement_says_is_missing_is_missing() -> None:
    made = {
        kind: dcmread(BytesIO(dicom_file(kind, findings_by_hand(), full_header())))
        for kind in OUTPUTS
    }
    assert not any("ContributingEquipmentSequence" in each for each in made.values())
    assert made["sr"].SOPClassUID == "1.2.840.10008.5.1.4.1.1.88.22"
    assert made["sr"].ContentTemplateSequence[0].TemplateIdentifier == "1500"
    accepted = {
        str(each.abstract_syntax) for each in application_entity(Settings()).supported_contexts
    }
    assert not any(uid.startswith("1.2.840.10008.5.1.4.34.6.") for uid in accepted)
    paths = yaml.safe_load((ROOT / "openapi.yaml").read_text("utf-8"))["paths"]
    assert not any("workitems" in path for path in paths)
    assert {path for path in paths if path.startswith("/dicom-web")} == {
        "/dicom-web/studies", "/dicom-web/studies/{study}",
    }  # fmt: skip


def test_every_kind_of_audit_message_stands_in_the_table() -> None:
    makers = {
        name
        for name, value in vars(events).items()
        if inspect.isfunction(value) and value.__module__ == events.__name__ and name[0] != "_"
    }
    source = inspect.getsource(every_kind)
    assert {name for name in makers if f"events.{name}(" not in source} == set()
    assert every_kind().keys() == TRIGGERS.keys()
