"""Content items that the reports share (PS3.3 C.17.3), and what an image library says."""

from collections.abc import Sequence

import highdicom.sr as sr
from pydicom.dataset import Dataset
from pydicom.sr.codedict import codes
from pydicom.sr.coding import Code

from service.findings import Findings
from service.outputs.dicom.codes import MILLIMETER, VIEWS
from service.outputs.dicom.reference import Source

HAS_ACQ_CONTEXT = sr.RelationshipTypeValues.HAS_ACQ_CONTEXT
Relation = sr.RelationshipTypeValues

LANGUAGE = Code("en-US", "RFC5646", "English (United States)")


def with_children(item: Dataset, children: Sequence[Dataset]) -> Dataset:
    """Hang children under a content item and return it."""
    if children:
        # Not by attribute: highdicom would demand a concept name of each, and a by-value relation.
        item.add_new("ContentSequence", "SQ", list(children))
    return item


def image_reference(source: Source, relation: Relation) -> sr.ImageContentItem:
    """Make the item that refers to the source image; its concept name is left out."""
    item = sr.ImageContentItem(
        name=codes.DCM.SourceImage,
        referenced_sop_class_uid=source.sop_class_uid,
        referenced_sop_instance_uid=source.sop_instance_uid,
        relationship_type=relation,
    )
    del item.ConceptNameCodeSequence
    return item


def code_item(name: Code, value: Code, relation: Relation) -> Dataset:
    """Make a content item that is a code."""
    return sr.CodeContentItem(name, value, relation)


def text_item(name: Code, text: str, relation: Relation) -> Dataset:
    """Make a content item that is a text."""
    return sr.TextContentItem(name, text, relation)


def container(name: Code, relation: Relation) -> Dataset:
    """Make a content item that holds others."""
    return sr.ContainerContentItem(name, is_content_continuous=False, relationship_type=relation)


def language() -> Dataset:
    """Say in which language a report is (PS3.16 TID 1204)."""
    name = codes.DCM.LanguageOfContentItemAndDescendants
    return code_item(name, LANGUAGE, Relation.HAS_CONCEPT_MOD)


def by_reference(relation: Relation, *position: int) -> Dataset:
    """Refer to the content item at a position of the tree (PS3.3 C.17.3.2.4), such as 1.2.1."""
    item = Dataset()
    item.RelationshipType = relation.value
    item.ReferencedContentItemIdentifier = list(position)
    return item


def acquisition_context(findings: Findings, source: Source, side: Code | None) -> list[Dataset]:
    """Say of an image library's entry what the header says (PS3.16 TID 4020, TID 1602, 1603).

    Parameters
    ----------
    findings, source
        What was found, and in what.
    side
        Value of Image Laterality; the two templates take it from different context groups.
    """
    return stated_context(source, findings.mammogram.view_position, side) + _spacing(findings)


def stated_context(source: Source, view_position: str | None, side: Code | None) -> list[Dataset]:
    """Say of an image library's entry what is known of an image that nobody has looked at."""
    view = VIEWS.get(view_position or "")
    items: list[Dataset] = []
    if side is not None:
        items.append(sr.CodeContentItem(codes.DCM.ImageLaterality, side, HAS_ACQ_CONTEXT))
    if view is not None:
        items.append(sr.CodeContentItem(codes.DCM.ImageView, view, HAS_ACQ_CONTEXT))
    names = (codes.DCM.PatientOrientationRow, codes.DCM.PatientOrientationColumn)
    for name, direction in zip(names, source.patient_orientation or (), strict=False):
        items.append(sr.TextContentItem(name, direction, HAS_ACQ_CONTEXT))
    return items + _dates(source)


def _dates(source: Source) -> list[Dataset]:
    items: list[Dataset] = []
    if source.study_date is not None:
        items.append(sr.DateContentItem(codes.DCM.StudyDate, source.study_date, HAS_ACQ_CONTEXT))
    if source.study_time is not None:
        items.append(sr.TimeContentItem(codes.DCM.StudyTime, source.study_time, HAS_ACQ_CONTEXT))
    return items


def _spacing(findings: Findings) -> list[Dataset]:
    spacing = findings.mammogram.pixel_spacing_mm
    if spacing is None:
        return []
    named = ((codes.DCM.HorizontalPixelSpacing, 1), (codes.DCM.VerticalPixelSpacing, 0))
    return [
        sr.NumContentItem(name, round(spacing[axis], 6), MILLIMETER, None, HAS_ACQ_CONTEXT)
        for name, axis in named
    ]
