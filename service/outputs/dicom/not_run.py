"""An image that was not analysed -> a report that says so, so that silence is not taken for no.

A Mammography CAD SR (PS3.3 A.35.5, PS3.16 TID 4000): *No algorithms succeeded*, detection *Not
Attempted* or *Failed* (CID 6042), and the reason as Impression Description (TID 4002), the one row
that takes words. It needs a reference to an image. Where the source cannot be referred to as one,
for want of a series or because it is not known to be one, it is a Basic Text SR (A.35.1) that says
the same.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import highdicom.sr as sr
from pydicom.dataset import Dataset
from pydicom.sr.codedict import codes
from pydicom.sr.coding import Code
from pydicom.uid import UID, BasicTextSRStorage, ExplicitVRLittleEndian, MammographyCADSRStorage

from service import __version__
from service.findings import ModelIdentity
from service.imaging.anatomy import laterality, view_position
from service.outputs.dicom import algorithm
from service.outputs.dicom.codes import BREASTS
from service.outputs.dicom.content import (
    Relation,
    by_reference,
    code_item,
    container,
    image_reference,
    language,
    stated_context,
    text_item,
    with_children,
)
from service.outputs.dicom.document import DocumentReference, set_document, supersede
from service.outputs.dicom.identity import named_uid
from service.outputs.dicom.instance import Kind, file_document, to_bytes
from service.outputs.dicom.reference import Source, read_source
from service.outputs.dicom.text import long_string

NOT_RUN_KIND = Kind("not-run", "SR", 9007, "Not analysed")

SYNTAXES = {
    str(MammographyCADSRStorage): frozenset((str(ExplicitVRLittleEndian),)),
    str(BasicTextSRStorage): frozenset((str(ExplicitVRLittleEndian),)),
}
"""Transfer syntax UIDs of these reports by their SOP Class UID."""

_IMAGE = (1, 2, 1)
"""Where the image library's entry stands in the tree; TID 4000 fixes the order."""

_STATEMENT = (
    "NOT ANALYSED. No lesion was looked for in this image, and nothing is said of it: that no "
    "lesion is marked does not mean that there is none. "
)
_STOPPED = {
    "refused": "The image was refused and is not tried again as it is.",
    "dead": "Analysis was tried, failed, and was given up; it may be tried again by hand.",
}
_STATUS: dict[str, Code] = {"refused": codes.DCM.NotAttempted, "dead": codes.DCM.Failed}


@dataclass(frozen=True, slots=True)
class NotRun:
    """Why an image was not analysed.

    Attributes
    ----------
    state
        `refused`: the model must not judge it; `dead`: it was tried and given up.
    code
        The stable code of the problem.
    reason
        A sentence that holds nothing read from the image.
    digest
        Of the file: images with one UID and several contents have several reports.
    predecessors
        Earlier reports on the image, which this one replaces.
    """

    state: Literal["refused", "dead"]
    code: str
    reason: str
    digest: str
    predecessors: tuple[DocumentReference, ...] = ()


def not_run_report(
    why: NotRun, model: ModelIdentity, header: Dataset
) -> tuple[bytes, DocumentReference]:
    """Make the report as a Part 10 file, and say which it is. The same input, the same bytes.

    Parameters
    ----------
    why
        Why the image was not analysed.
    model
        The model that would have been asked.
    header
        What a reader handed back of the image's header.

    Raises
    ------
    NotAcceptable
        The header does not say which object, study or patient it is of.
    """
    source = read_source(header, series_needed=False)
    made = Dataset()
    as_image = bool(source.series_instance_uid) and _is_image(source.sop_class_uid)
    made.SOPClassUID = MammographyCADSRStorage if as_image else BasicTextSRStorage
    set_document(made, source)
    made.update((_cad_root if as_image else _text_root)(why, model, source))
    uid = report_uid(why, model, source.sop_instance_uid)
    file_document(made, source, NOT_RUN_KIND, model, (named_uid(uid, "series"), uid))
    supersede(made, why.predecessors)
    return to_bytes(made), DocumentReference(
        str(made.SOPClassUID),
        str(made.SOPInstanceUID),
        str(made.SeriesInstanceUID),
        source.study_instance_uid,
    )


def report_uid(why: NotRun, model: ModelIdentity, sop_instance_uid: str) -> str:
    """Return the UID of what a report says, which is its own unless it has predecessors."""
    made_by = (model.name, model.version, model.sha256, __version__)
    said = (why.state, why.code, why.reason)
    return named_uid(sop_instance_uid, why.digest, *made_by, NOT_RUN_KIND.name, *said)


def _is_image(sop_class_uid: str) -> bool:
    """Say whether a SOP class is known to be of images.

    dcmtk reads no report with an IMAGE item of a class that it does not know, a maker's own.
    """
    return "Image Storage" in UID(sop_class_uid).name


def _cad_root(why: NotRun, model: ModelIdentity, source: Source) -> Dataset:
    """Make the document root (TID 4000), its rows in order."""
    root = sr.ContainerContentItem(
        codes.DCM.MammographyCADReport, is_content_continuous=False, template_id="4000"
    )
    view = view_position(source.header)
    side = laterality(source.header, view)
    entry = with_children(
        image_reference(source, Relation.CONTAINS),
        stated_context(source, view, BREASTS[side] if side else None),
    )
    return with_children(
        root,
        [
            language(),
            with_children(container(codes.DCM.ImageLibrary, Relation.CONTAINS), [entry]),
            _summary(why, model),
            _detections(why, model),
            code_item(codes.DCM.SummaryOfAnalyses, codes.DCM.NotAttempted, Relation.CONTAINS),
        ],
    )


def _summary(why: NotRun, model: ModelIdentity) -> Dataset:
    """Make CAD Processing and Findings Summary (TID 4001) with its body (TID 4002)."""
    item = code_item(
        codes.DCM.CADProcessingAndFindingsSummary,
        codes.DCM.NoAlgorithmsSucceededWithoutFindings,
        Relation.CONTAINS,
    )
    words = text_item(codes.DCM.ImpressionDescription, _words(why), Relation.HAS_PROPERTIES)
    return with_children(item, [words, *_algorithm(why, model, Relation.HAS_PROPERTIES)])


def _detections(why: NotRun, model: ModelIdentity) -> Dataset:
    """Make Summary of Detections, with the one that failed if it was tried (TID 4015, TID 4017)."""
    item = code_item(codes.DCM.SummaryOfDetections, _STATUS[why.state], Relation.CONTAINS)
    if why.state == "refused":
        return item
    detection = with_children(
        code_item(codes.DCM.DetectionPerformed, codes.DCM.SelectedRegion, Relation.CONTAINS),
        [
            *_algorithm(why, model, Relation.HAS_PROPERTIES),
            by_reference(Relation.HAS_PROPERTIES, *_IMAGE),
        ],
    )
    failed = container(codes.DCM.FailedDetections, Relation.INFERRED_FROM)
    return with_children(item, [with_children(failed, [detection])])


def _text_root(why: NotRun, model: ModelIdentity, source: Source) -> Dataset:
    """Make the document root of a Basic Text SR, which follows no template."""
    root = sr.ContainerContentItem(codes.DCM.MammographyCADReport, is_content_continuous=False)
    return with_children(
        root,
        [
            language(),
            text_item(codes.DCM.ImpressionDescription, _words(why), Relation.CONTAINS),
            code_item(codes.DCM.SummaryOfDetections, _STATUS[why.state], Relation.CONTAINS),
            *_algorithm(why, model, Relation.CONTAINS),
            _object_reference(source),
        ],
    )


def _object_reference(source: Source) -> Dataset:
    """Refer to the source; in words where its series is not known, as it must be of evidence."""
    if not source.series_instance_uid:
        words = f"The image's SOP Instance UID is {source.sop_instance_uid}."
        return text_item(codes.DCM.Comment, words, Relation.CONTAINS)
    item = sr.CompositeContentItem(
        codes.DCM.SourceOfMeasurement,
        source.sop_class_uid,
        source.sop_instance_uid,
        relationship_type=Relation.CONTAINS,
    )
    # highdicom demands a concept name, of which the standard has none that fits.
    del item.ConceptNameCodeSequence
    return item


def _algorithm(why: NotRun, model: ModelIdentity, relation: Relation) -> Sequence[Dataset]:
    """Identify the algorithm that was not run (TID 4019), and the problem by its code."""
    texts = (
        (codes.DCM.AlgorithmName, long_string(model.name)),
        (codes.DCM.AlgorithmVersion, long_string(model.version)),
        (codes.DCM.AlgorithmParameters, f"sha256={model.sha256}"),
        (codes.DCM.AlgorithmParameters, f"code={why.code}"),
        (codes.DCM.AlgorithmParameters, algorithm.UNAPPROVED),
    )
    return [text_item(name, text, relation) for name, text in texts]


def _words(why: NotRun) -> str:
    return f"{_STATEMENT}Reason (problem code {why.code}): {why.reason} {_STOPPED[why.state]}"
