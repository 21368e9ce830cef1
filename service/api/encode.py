"""Findings -> the response, in the form that the caller chose."""

from collections.abc import Sequence

from starlette.responses import Response

from service.api.form import Form
from service.dicomweb.multipart import related
from service.findings import Findings
from service.outputs.dicom.registry import OUTPUTS, dicom_files
from service.outputs.dicom.registry import picture_side as of_dicom
from service.outputs.png import heatmap_png, mask_png, overlay_png
from service.outputs.result import Render, result_of

DICOM = "application/dicom"


def encode(
    findings: Findings,
    forms: Sequence[Form],
    *,
    renders: set[Render],
    max_side: int,
) -> Response:
    """Return the findings in one form, or several DICOM objects of them as multipart/related.

    Parameters
    ----------
    findings
        What was found.
    forms
        As `choose_forms` gives them.
    renders
        PNGs that the JSON embeds.
    max_side
        Longest side of heatmap and overlay, in pixels.

    Raises
    ------
    NotAcceptable
        A DICOM result is wanted of what is not one DICOM image.
    """
    form = forms[0]
    if form == "json":
        document = result_of(findings, renders, max_side).model_dump_json()
        return Response(document, media_type="application/json", headers={"Vary": "Accept"})
    if form in OUTPUTS:
        files = dicom_files(forms, findings)
        content, media_type = files[0], DICOM
        if len(files) > 1:
            content, media_type = related(files, DICOM)
    else:
        content, media_type = _picture(findings, form, max_side), "image/png"
    return Response(content, media_type=media_type, headers=_headers(findings))


def picture_side(forms: Sequence[Form], renders: set[Render], max_side: int) -> int:
    """Return the longest side of the pictures of the image that `encode` makes, 0 without any."""
    overlay = max_side if "overlay" in (*forms, *renders) else 0
    return max(overlay, of_dicom(form for form in forms if form in OUTPUTS))


def _picture(findings: Findings, form: Form, max_side: int) -> bytes:
    if form == "mask":
        return mask_png(findings)
    if form == "heatmap":
        return heatmap_png(findings, max_side)
    return overlay_png(findings, max_side)


def _headers(findings: Findings) -> dict[str, str]:
    """Say beside a picture what the JSON would: a PNG must not hide a warning."""
    return {
        "Vary": "Accept",
        "Mammoseg-Model": f"{findings.model.name}/{findings.model.version}",
        "Mammoseg-Has-Mask": "yes" if findings.has_mask.decision else "no",
        "Mammoseg-Has-Mask-Score": f"{findings.has_mask.score:.6f}",
        "Mammoseg-Gated": "yes" if findings.gated else "no",
        "Mammoseg-Warnings": ", ".join(caveat.code for caveat in findings.caveats),
    }
