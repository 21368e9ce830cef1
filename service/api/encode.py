"""Findings -> the response, in the form that the caller chose."""

from collections.abc import Callable, Sequence

from starlette.responses import Response

from service.dicomweb.multipart import form_data, related
from service.findings import Findings
from service.imaging.reduced_decoding import WHOLE_PICTURE
from service.outputs.dicom.registry import OUTPUTS, dicom_files
from service.outputs.dicom.registry import picture_side as of_dicom
from service.outputs.forms import Form
from service.outputs.png import heatmap_png, image_png, map_png, mask_png, overlay_png
from service.outputs.result import Render, result_of

DICOM = "application/dicom"


def encode(
    findings: Findings,
    forms: Sequence[Form],
    *,
    renders: set[Render],
    max_side: int,
) -> Response:
    """Return the findings in one form, or in several as a multipart body.

    Several DICOM objects are multipart/related, in the order of `forms`; other companies are
    multipart/form-data, each part named by its form.

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
    if len(forms) > 1 and not OUTPUTS.keys() >= set(forms):
        content, media_type = form_data(_parts(findings, forms, renders, max_side))
    elif form == "json":
        document = result_of(findings, renders, max_side).model_dump_json()
        return Response(document, media_type="application/json", headers={"Vary": "Accept"})
    elif form in OUTPUTS:
        files = dicom_files(forms, findings)
        content, media_type = files[0], DICOM
        if len(files) > 1:
            content, media_type = related(files, DICOM)
    else:
        content, media_type = PICTURES[form](findings, max_side), "image/png"
    return Response(content, media_type=media_type, headers=_headers(findings))


def picture_side(forms: Sequence[Form], renders: set[Render], max_side: int) -> int:
    """Return the longest side of the pictures of the image that `encode` makes, 0 without any."""
    if "image" in forms:
        return WHOLE_PICTURE
    overlay = max_side if "overlay" in (*forms, *renders) else 0
    return max(overlay, of_dicom(form for form in forms if form in OUTPUTS))


def makes_objects(forms: Sequence[Form]) -> bool:
    """Say whether one of the forms is a DICOM object."""
    return not OUTPUTS.keys().isdisjoint(forms)


def _activation(findings: Findings, _: int) -> bytes:
    assert findings.activation_map is not None, "SegmentOptions.activation was not asked for"
    return map_png(findings.activation_map)


PICTURES: dict[Form, Callable[[Findings, int], bytes]] = {
    "mask": lambda findings, _: mask_png(findings),
    "heatmap": heatmap_png,
    "overlay": overlay_png,
    "image": lambda findings, _: image_png(findings),
    "probability": lambda findings, _: map_png(findings.lesion_map),
    "activation": _activation,
}
"""PNGs by form: of the findings, and the longest side of heatmap and overlay."""


def _parts(
    findings: Findings, forms: Sequence[Form], renders: set[Render], max_side: int
) -> list[tuple[str, str, bytes]]:
    """Return the files of several forms: name, media type, content."""
    objects = [form for form in forms if form in OUTPUTS]
    made = dicom_files(objects, findings) if objects else []
    files = dict(zip(objects, made, strict=True))
    parts: list[tuple[str, str, bytes]] = []
    for form in forms:
        if form == "json":
            document = result_of(findings, renders, max_side).model_dump_json()
            parts.append((form, "application/json", document.encode()))
        elif form in files:
            parts.append((form, DICOM, files[form]))
        else:
            parts.append((form, "image/png", PICTURES[form](findings, max_side)))
    return parts


def _headers(findings: Findings) -> dict[str, str]:
    """Say beside a picture what the JSON would: a PNG must not hide a warning."""
    return {
        "Vary": "Accept",
        "Mammoseg-Model": f"{findings.model.name}/{findings.model.version}",
        "Mammoseg-Model-Id": findings.model.id,
        "Mammoseg-Model-Sha256": findings.model.sha256,
        "Mammoseg-Has-Mask": "yes" if findings.has_mask.decision else "no",
        "Mammoseg-Has-Mask-Score": f"{findings.has_mask.score:.6f}",
        "Mammoseg-Gated": "yes" if findings.gated else "no",
        "Mammoseg-Warnings": ", ".join(caveat.code for caveat in findings.caveats),
    }
