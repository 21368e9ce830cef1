"""What a result may be asked for as. Names alone: a command completes them at once."""

from typing import Literal, get_args

Picture = Literal["mask", "heatmap", "overlay", "image", "probability", "activation"]
"""PNGs."""

DicomObject = Literal["seg", "seg-fractional", "sr", "cad-sr", "sc", "gsps"]
"""The keys of `service.outputs.dicom.registry.OUTPUTS`, whose import takes a second."""

Form = Literal["json", Picture, DicomObject]

DICOM_OBJECTS: tuple[str, ...] = get_args(DicomObject)
FORMS: tuple[str, ...] = get_args(Form)
