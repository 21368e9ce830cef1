"""POST /v1/segment: a mammogram in, findings out."""

from contextlib import ExitStack
from typing import Annotated, Any, get_args

from fastapi import APIRouter, Query
from pydantic import BeforeValidator
from starlette.requests import Request
from starlette.responses import Response

from service.api.body import SenderBounds
from service.api.description import BINARY, IMAGE_PROBLEMS
from service.api.encode import encode, makes_objects, picture_side
from service.api.form import OUTPUT, choose_forms, choose_without_dicom
from service.api.gate import caller_of
from service.api.numbers import parse_integer, trimmed
from service.api.options import FIELDS, parse_spacing, spacing_parameter, with_fields
from service.api.parameters import check_fields, check_query
from service.api.segmentation import ModelName, Segmentation, caller_left
from service.api.upload import Upload, receive_upload
from service.cancellation import CancelToken
from service.errors import NotAcceptable
from service.imaging.frames import MAX_FRAMES
from service.outputs.forms import Form
from service.outputs.result import Render, SegmentationResult
from service.segmenter import SegmentOptions

router = APIRouter(tags=["segmentation"])

MAX_SIDE = 1024
_RENDER = f"(?:{'|'.join(get_args(Render))})"
INCLUDE = f"^(?:{_RENDER}(?:,{_RENDER})*)?$"

_FORM = {
    "schema": {
        "type": "object",
        "description": "Any name will do; exactly one part may be a file.",
        "properties": {
            "file": {"type": "string", "format": "binary"},
            **FIELDS,
        },
        "required": ["file"],
        "additionalProperties": True,
    }
}
_BODY: dict[str, Any] = {
    "required": True,
    "description": "One DICOM, PNG, JPEG or TIFF file, raw or as the one file of a multipart body.",
    "content": {
        "application/dicom": BINARY,
        "image/png": BINARY,
        "image/jpeg": BINARY,
        "image/tiff": BINARY,
        "application/octet-stream": BINARY,
        "multipart/form-data": _FORM,
        "multipart/related": BINARY,
    },
}


@router.post(
    "/v1/segment",
    response_model=SegmentationResult,
    responses={
        200: {
            "description": "The findings; by `output` or `Accept`.",
            "content": {
                "image/png": BINARY,
                "application/dicom": BINARY,
                "multipart/related": BINARY,
                "multipart/form-data": BINARY,
            },
        },
        **IMAGE_PROBLEMS,
    },
    openapi_extra={
        "requestBody": _BODY,
        "parameters": [
            spacing_parameter("One number, or row,column, in mm; overrides the image's.")
        ],
    },
    summary="Find lesions in one mammogram",
)
async def segment(
    request: Request,
    output: Annotated[
        str | None,
        Query(
            description="Form of the result; wins over Accept. Several, separated by commas, come "
            "as multipart/form-data, each part named by its form; DICOM objects alone in this "
            "order as multipart/related. `image` is the image as it is displayed, 16-bit grey on "
            "the source's grid; `probability` and `activation` are maps, 16-bit grey, 65535 for "
            "1, that lie where `probability_map` says.",
            json_schema_extra={"pattern": OUTPUT},
        ),
        BeforeValidator(trimmed),
    ] = None,
    include: Annotated[
        str,
        Query(pattern=INCLUDE, description="PNGs to embed in the JSON: mask,heatmap,overlay."),
        BeforeValidator(trimmed),
    ] = "",
    max_side: Annotated[
        int,
        Query(ge=64, le=4096, description="Longest side of heatmap and overlay, in pixels."),
        BeforeValidator(parse_integer),
    ] = MAX_SIDE,
    gate: Annotated[
        bool,
        Query(description="Empty the mask when the has-mask decision is no."),
        BeforeValidator(trimmed),
    ] = True,
    pixel_spacing_mm: Annotated[
        str | None,
        Query(include_in_schema=False),
    ] = None,
    frame: Annotated[
        int | None,
        Query(
            ge=1,
            le=MAX_FRAMES,
            description="Which frame of a tomosynthesis or other multi-frame object, or page of "
            "a TIFF, from 1 on; without it those are refused.",
        ),
        BeforeValidator(parse_integer),
    ] = None,
    model: ModelName = None,
) -> Response:
    """Read the image, find the breast, run the net, answer with mask, score and regions.

    **Research use only: this is not a medical device.**
    """
    check_query(request)
    # RFC 9110, 5.3: several lines are one list.
    accept = ", ".join(request.headers.getlist("accept"))
    forms = choose_forms(output, accept)
    instead = choose_without_dicom(forms, accept) if output is None else forms
    renders = parse_include(include)
    work = Segmentation.of(request, model)
    settings, limiter = work.services.settings, work.services.limiter
    spacing_mm = parse_spacing(pixel_spacing_mm)
    with limiter.receiving("images", caller_of(request)) as slot:
        with work.stage("receive"):
            upload = await receive_upload(
                request,
                slot,
                max_bytes=settings.max_body_mib << 20,
                bounds=SenderBounds(settings.upload_timeout_s, settings.upload_bytes_s),
            )
        slot.take()
        check_fields(request, upload.fields)
        options = SegmentOptions(
            spacing_mm,
            gate,
            frame,
            picture_side((*forms, *instead), renders, max_side),
            activation="activation" in forms,
            objects=makes_objects((*forms, *instead)),
        )
        options = with_fields(options, upload.fields)
        token = limiter.new_token()
        return await limiter.work_for(
            caller_left(request),
            token,
            lambda: _answer(work, upload, options, (forms, instead), renders, max_side, token),
        )


def parse_include(text: str) -> set[Render]:
    """Turn "mask,overlay" into the set of renders."""
    return {render for render in get_args(Render) if render in text.split(",")}


def _answer(
    work: Segmentation,
    upload: Upload,
    options: SegmentOptions,
    choices: tuple[tuple[Form, ...], ...],
    renders: set[Render],
    max_side: int,
    token: CancelToken,
) -> Response:
    with ExitStack() as held:
        with work.model.version() as observed:
            findings = work.findings(observed, upload, options, token, held)
        with work.stage("outputs"):
            forms, instead = choices
            try:
                return encode(findings, forms, renders=renders, max_side=max_side)
            except NotAcceptable:
                # No DICOM object can be made of it: by what is wrong with it, or as it is none.
                if instead == forms:
                    raise
                return encode(findings, instead, renders=renders, max_side=max_side)
