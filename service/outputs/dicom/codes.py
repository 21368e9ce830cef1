"""Coded concepts that several results use (PS3.16)."""

from pydicom.sr.codedict import codes
from pydicom.sr.coding import Code

from service.imaging.mammogram import Laterality

LESION: Code = codes.SCT.Lesion
ABNORMAL_STRUCTURE: Code = codes.SCT.MorphologicallyAbnormalStructure
BREAST: Code = codes.SCT.Breast
CERTAINTY: Code = codes.DCM.CertaintyOfFinding
PERCENT: Code = codes.UCUM.Percent
MILLIMETER = Code("mm", "UCUM", "millimeter")
SQUARE_MILLIMETER = Code("mm2", "UCUM", "Square millimeter")
ARTIFICIAL_INTELLIGENCE: Code = codes.DCM.ArtificialIntelligence

SIDES: dict[Laterality, Code] = {"L": codes.SCT.Left, "R": codes.SCT.Right}
"""CID 244: which of two."""

BREASTS: dict[Laterality, Code] = {
    "L": Code("80248007", "SCT", "Left breast"),
    "R": Code("73056007", "SCT", "Right breast"),
}
"""CID 6022."""

VIEWS: dict[str, Code] = {
    "CC": Code("399162004", "SCT", "cranio-caudal"),
    "MLO": Code("399368009", "SCT", "medio-lateral oblique"),
    "ML": Code("399260004", "SCT", "medio-lateral"),
    "LM": Code("399352003", "SCT", "latero-medial"),
    "LMO": Code("399099002", "SCT", "latero-medial oblique"),
    "FB": Code("399196006", "SCT", "caudo-cranial (from below)"),
    "SIO": Code("399188001", "SCT", "superolateral to inferomedial oblique"),
    "ISO": Code("441555000", "SCT", "inferomedial to superolateral oblique"),
    "XCCL": Code("399192008", "SCT", "cranio-caudal exaggerated laterally"),
    "XCCM": Code("399101009", "SCT", "cranio-caudal exaggerated medially"),
}
"""CID 4014, by View Position."""

MODALITIES: dict[str, Code] = {
    "MG": Code("MG", "DCM", "Mammography"),
    "CR": Code("CR", "DCM", "Computed Radiography"),
    "DX": Code("DX", "DCM", "Digital Radiography"),
    "RG": Code("RG", "DCM", "Radiographic imaging"),
}
"""CID 29, those a mammogram may come as."""
