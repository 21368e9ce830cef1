"""Findings -> Grayscale Softcopy Presentation State (PS3.3 A.33.1): outlines over the source.

The image is shown as it is shown without it: whole, with its own window and Modality LUT.
"""

from fractions import Fraction

import highdicom as hd
from pydicom.dataset import Dataset

from service.findings import Findings
from service.outputs.dicom import algorithm
from service.outputs.dicom.grayscale import read_grayscale
from service.outputs.dicom.instance import Kind, file_under_source, set_side
from service.outputs.dicom.outline import centre, outline, percent, shown_regions
from service.outputs.dicom.reference import Source, bare_reference
from service.outputs.dicom.tracking import tracking_id, tracking_uid

GSPS = Kind("gsps", "PR", 9006, "Lesion outlines")

_LABEL_BOX = (0.0, 0.0, 1.0, 0.04)
"""Left, top, right, bottom of the displayed area, as fractions."""


def presentation_state(findings: Findings, source: Source) -> Dataset:
    """Make the presentation state; without a finding it carries the words alone."""
    reference = bare_reference(source, findings.mask.shape)
    reference.SamplesPerPixel = 1
    layer = hd.pr.GraphicLayer("AI", order=1, description=algorithm.RESEARCH_ONLY)
    shown = read_grayscale(source.header)
    made = hd.pr.GrayscaleSoftcopyPresentationState(
        referenced_images=[reference],
        series_instance_uid=hd.UID(),
        series_number=GSPS.series_number,
        sop_instance_uid=hd.UID(),
        instance_number=1,
        graphic_layers=[layer],
        graphic_annotations=[_annotation(findings, source, reference, layer)],
        modality_lut_transformation=shown.modality,
        voi_lut_transformations=[shown.voi] if shown.voi is not None else None,
        presentation_lut_transformation=hd.PresentationLUTTransformation(
            presentation_lut_shape="INVERSE" if shown.inverse else "IDENTITY"
        ),
        **algorithm.equipment(findings),
    )
    set_side(made, findings)
    file_under_source(made, findings, source, GSPS)
    _set_moment(made)
    _set_pixel_size(made, findings)
    return made


def _annotation(
    findings: Findings, source: Source, reference: Dataset, layer: hd.pr.GraphicLayer
) -> hd.pr.GraphicAnnotation:
    outlines, texts = [], [_words(findings)]
    for number, region in enumerate(shown_regions(findings), 1):
        uid = tracking_uid(findings, source, number)
        outlines.append(
            hd.pr.GraphicObject(
                graphic_type=hd.pr.GraphicTypeValues.POLYLINE,
                graphic_data=outline(region),
                units=hd.pr.AnnotationUnitsValues.PIXEL,
                tracking_id=tracking_id(number),
                tracking_uid=uid,
            )
        )
        texts.append(
            hd.pr.TextObject(
                text_value=f"{number}: {percent(region.max_probability):.0f} %",
                units=hd.pr.AnnotationUnitsValues.PIXEL,
                anchor_point=centre(region),
                tracking_id=tracking_id(number),
                tracking_uid=uid,
            )
        )
    return hd.pr.GraphicAnnotation(
        referenced_images=[reference],
        graphic_layer=layer,
        graphic_objects=outlines or None,
        text_objects=texts,
    )


def _words(findings: Findings) -> hd.pr.TextObject:
    found = "" if shown_regions(findings) else "; no lesion found"
    return hd.pr.TextObject(
        text_value=algorithm.with_warnings(f"{algorithm.RESEARCH_ONLY}{found}", findings),
        units=hd.pr.AnnotationUnitsValues.DISPLAY,
        bounding_box=_LABEL_BOX,
    )


def _set_moment(made: Dataset) -> None:
    """Date it; a presentation state has elements of its own for that (PS3.3 C.11.10)."""
    made.PresentationCreationDate, made.PresentationCreationTime = (
        made.ContentDate,
        made.ContentTime,
    )
    del made.ContentDate, made.ContentTime


def _set_pixel_size(made: Dataset, findings: Findings) -> None:
    """State the pixel's size where it is known, else the shape of it, height to width."""
    spacing, area = findings.mammogram.pixel_spacing_mm, made.DisplayedAreaSelectionSequence[0]
    if spacing is None:
        ratio = Fraction(findings.mammogram.pixel_aspect).limit_denominator(1000)
        area.PresentationPixelAspectRatio = list(ratio.as_integer_ratio())
    else:
        area.PresentationPixelSpacing = [round(millimetres, 6) for millimetres in spacing]
        del area.PresentationPixelAspectRatio
