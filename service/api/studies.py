"""POST /v1/studies: the images of one study in, findings of each and a score of all out."""

from contextlib import ExitStack
from typing import Annotated, Any

from fastapi import APIRouter, Query
from pydantic import BaseModel, BeforeValidator, Field
from pydicom.dataelem import RawDataElement
from pydicom.dataset import Dataset
from starlette.requests import Request

from service.api.body import SenderBounds
from service.api.description import BINARY, IMAGE_PROBLEMS
from service.api.gate import caller_of
from service.api.numbers import trimmed
from service.api.options import FIELDS, parse_spacing, spacing_parameter, with_fields
from service.api.parameters import check_fields, check_query
from service.api.problems import Problem, problem_of
from service.api.segmentation import ModelName, Segmentation, caller_left
from service.api.upload import Upload, receive_uploads
from service.cancellation import CancelToken
from service.errors import PASSING_CODES, MammosegError, MixedStudy
from service.imaging import elements
from service.imaging.anatomy import SPECIAL_VIEW
from service.imaging.mammogram import Caveat
from service.imaging.reader import sniff
from service.outputs.result import SegmentationResult, WarningPart, result_of
from service.outputs.study import ImageScore, StudyPart, combine
from service.reading.reader import Reader
from service.segmenter import SegmentOptions
from service.telemetry.observed import ObservedSegmenter

router = APIRouter(tags=["segmentation"])

PATIENT_ID = 0x00100020

MAX_IMAGES = 32
"""Of one study. A screening has four; those with spot views and repeats a dozen."""

PASSING = frozenset((499, 500, 503, 504))
"""Statuses that speak of the moment, or of us, and not of an image: the whole study is answered so,
never a part of it. So it is where an image took too long to read: another attempt may score it."""

UNCHECKED = Caveat(
    "patient-unchecked",
    "Not every image says whose it is: that all are of one study is the caller's word.",
)
REFUSED = Caveat("images-refused", "Not every image was judged; the scores come from the others.")
REPEATED = Caveat("view-repeated", "A view has several images; their scores were averaged.")
UNPLACED = Caveat(
    "view-unknown", "The side or the view of an image is unknown; it counts as a view of its own."
)

SPECIAL = Caveat(
    "special-views",
    "An image is a spot, magnification or other special view; it counts as a view of its own.",
)


class StudyEntry(BaseModel):
    """What came of one image: a result or a problem."""

    index: int = Field(description="Position among the files of the request, from 0 on.")
    result: SegmentationResult | None
    problem: Problem | None


class StudyResult(BaseModel):
    """The answer for the images of one study. Research use only: not a medical device."""

    study: StudyPart
    images: list[StudyEntry]
    warnings: list[WarningPart]


_FORM = {
    "schema": {
        "type": "object",
        "description": f"Any names will do; at most {MAX_IMAGES} parts may be files.",
        "properties": {
            "file": {
                "type": "array",
                "items": {"type": "string", "format": "binary"},
                "minItems": 1,
                "maxItems": MAX_IMAGES,
            },
            "pixel_spacing_mm": FIELDS["pixel_spacing_mm"],
        },
        "required": ["file"],
        "additionalProperties": True,
    }
}
_BODY: dict[str, Any] = {
    "required": True,
    "description": "The DICOM, PNG, JPEG or TIFF files of one study.",
    "content": {"multipart/form-data": _FORM, "multipart/related": BINARY},
}


@router.post(
    "/v1/studies",
    responses={
        **{status: what for status, what in IMAGE_PROBLEMS.items() if status != 406},
        422: IMAGE_PROBLEMS[422] | {"description": "Images of several patients or studies."},
    },
    openapi_extra={
        "requestBody": _BODY,
        "parameters": [spacing_parameter("Of all images; as for one, see /v1/segment.")],
    },
    summary="Find lesions in the images of one study, and score it by breast and as a whole",
)
async def study(
    request: Request,
    gate: Annotated[
        bool,
        Query(description="Empty the masks where the has-mask decision is no."),
        BeforeValidator(trimmed),
    ] = True,
    pixel_spacing_mm: Annotated[
        str | None,
        Query(include_in_schema=False),
    ] = None,
    model: ModelName = None,
) -> StudyResult:
    """Judge each image as `/v1/segment` does, one after another, and combine the scores.

    An image that is refused does not spoil the rest: its entry holds the problem. The scores are
    means over views, each view counting once however many images it has.

    **Research use only: this is not a medical device.**
    """
    check_query(request)
    work = Segmentation.of(request, model)
    settings, limiter = work.services.settings, work.services.limiter
    with limiter.receiving("images", caller_of(request)) as slot:
        with work.stage("receive"):
            uploads = await receive_uploads(
                request,
                slot,
                most=MAX_IMAGES,
                max_bytes=settings.memory.bodies_mib << 20,
                bounds=SenderBounds(settings.upload_timeout_s, settings.upload_bytes_s),
            )
        slot.take()
        options = SegmentOptions(
            parse_spacing(pixel_spacing_mm), gate, picture_side=0, objects=False
        )
        check_fields(request, uploads[0].fields)
        options = with_fields(options, uploads[0].fields)
        token = CancelToken(settings.deadline_s * len(uploads))
        return await limiter.work_for(
            caller_left(request),
            token,
            lambda: _answer(work, uploads, options, token),
        )


def _answer(
    work: Segmentation, uploads: list[Upload], options: SegmentOptions, token: CancelToken
) -> StudyResult:
    entries, left = [], list(uploads)
    # Who looked at them, one and all, is told, though the study be refused or given up.
    with work.telling(left):
        caveats = _check_belonging(uploads, work.services.models.reader, token)
        # One version for all of them: scores of two nets have no mean.
        with work.model.version() as observed:
            for index, upload in enumerate(uploads):
                # From here on it is told by itself.
                del left[0]
                entries.append(_entry(work, observed, index, upload, options, token))
    images = [_image_score(entry.index, entry.result) for entry in entries if entry.result]
    scores = combine(images)
    caveats += _said_of(scores, len(entries))
    caveats += (SPECIAL,) if any(image.is_special for image in images) else ()
    return StudyResult(
        study=scores,
        images=entries,
        warnings=[WarningPart(code=caveat.code, detail=caveat.detail) for caveat in caveats],
    )


def _entry(
    work: Segmentation,
    observed: ObservedSegmenter,
    index: int,
    upload: Upload,
    options: SegmentOptions,
    token: CancelToken,
) -> StudyEntry:
    try:
        with ExitStack() as held:
            findings = work.findings(observed, upload, options, token, held)
            with work.stage("outputs"):
                result = result_of(findings, (), 0)
        return StudyEntry(index=index, result=result, problem=None)
    except MammosegError as error:
        if error.status in PASSING or error.code in PASSING_CODES:
            raise
        work.services.metrics.problems.labels(error.code).inc()
        problem = problem_of(error, work.request.state.request_id)
        return StudyEntry(index=index, result=None, problem=problem)


def _image_score(index: int, result: SegmentationResult) -> ImageScore:
    image = result.image
    is_special = any(warning.code == SPECIAL_VIEW.code for warning in result.warnings)
    return ImageScore(
        index, image.laterality, image.view_position, result.has_mask.score, is_special
    )


def _check_belonging(
    uploads: list[Upload], reader: Reader, token: CancelToken
) -> tuple[Caveat, ...]:
    """Check that all images are of one patient and study; unreadable ones are refused later.

    Raises
    ------
    MixedStudy
        Two images have different Patient IDs or Study Instance UIDs.
    """
    patients: set[str | bytes | None] = set()
    studies: set[str | None] = set()
    for upload in uploads:
        patient: str | bytes | None = None
        study_uid: str | None = None
        if sniff(upload.body) == "dicom":
            try:
                header = reader.look(upload.body, token).header.dataset()
            except MammosegError as error:
                if error.status in PASSING:
                    raise
                continue
            patient = _patient_of(header)
            study_uid = elements.uid(header, "StudyInstanceUID")
        patients.add(patient)
        studies.add(study_uid)
    if len(patients - {None}) > 1:
        raise MixedStudy("several-patients", "The images are of several patients.")
    if len(studies - {None}) > 1:
        raise MixedStudy("several-studies", "The images are of several studies.")
    return (UNCHECKED,) if None in patients | studies else ()


def _patient_of(header: Dataset) -> str | bytes | None:
    """Return a Patient ID; its bytes where they cannot be decoded and all would look the same."""
    element = header.get_item(PATIENT_ID) if PATIENT_ID in header else None
    raw = element.value if isinstance(element, RawDataElement) else None
    patient = elements.text(header, "PatientID")
    if patient is not None and "\N{REPLACEMENT CHARACTER}" in patient and raw:
        return bytes(raw).strip(b" \0")
    return patient


def _said_of(scores: StudyPart, images: int) -> tuple[Caveat, ...]:
    views = [view for breast in scores.breasts for view in breast.views]
    unplaced = scores.views_of_unknown_side or [v for v in views if v.view_position is None]
    return (
        *((REFUSED,) if len(scores.images) < images else ()),
        *((REPEATED,) if any(len(view.images) > 1 for view in views) else ()),
        *((UNPLACED,) if unplaced else ()),
    )
