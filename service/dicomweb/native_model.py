"""The Native DICOM Model (PS3.19 A.1), DICOM in XML, read as DICOM JSON (PS3.18 annex F)."""

from typing import Any
from xml.etree import ElementTree

INTEGERS = frozenset(("SL", "SS", "SV", "UL", "US", "UV"))
"""Value representations whose values DICOM JSON writes as integers (PS3.18 table F.2.3-1)."""


def datasets_of_xml(body: bytes) -> list[dict[str, Any]] | None:
    """Return the datasets of an XML document in any encoding; None where it is no such document.

    The root is a Native DICOM Model, or holds some. Attributes are under their tags; what has no
    tag is under its keyword.
    """
    # An XML declaration may stand at the very beginning alone.
    document = body.lstrip()
    body = document if document.startswith(b"<") else body
    try:
        # Expat bounds what entities may grow to, since 2.4.1, and none from outside is read.
        root = ElementTree.fromstring(body)  # noqa: S314
    except (ElementTree.ParseError, ValueError, LookupError):
        return None
    models = [root] if _name(root) == "NativeDicomModel" else _children(root, "NativeDicomModel")
    try:
        return [_dataset(model) for model in models] or None
    except RecursionError:
        return None


def _dataset(model: ElementTree.Element) -> dict[str, Any]:
    return {
        attribute.get("tag") or attribute.get("keyword") or "": _attribute(attribute)
        for attribute in _children(model, "DicomAttribute")
    }


def _attribute(attribute: ElementTree.Element) -> dict[str, Any]:
    representation = attribute.get("vr") or ""
    values = [_value(one.text, representation) for one in _children(attribute, "Value")]
    items = [_dataset(item) for item in _children(attribute, "Item")]
    return {"vr": representation, "Value": [*items, *values]}


def _value(text: str | None, representation: str) -> str | int:
    said = (text or "").strip()
    try:
        return int(said) if representation in INTEGERS else said
    except ValueError:
        return said


def _children(element: ElementTree.Element, name: str) -> list[ElementTree.Element]:
    return [child for child in element if _name(child) == name]


def _name(element: ElementTree.Element) -> str:
    # With its namespace, which not every server writes, in braces before it.
    return str(element.tag).rpartition("}")[2]
