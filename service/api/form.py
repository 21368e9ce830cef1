"""Which form of the result the caller wants: `output` wins over `Accept`."""

from collections.abc import Mapping
from typing import cast

from service.errors import NotAcceptable
from service.outputs.forms import FORMS, Form

PNG_FORM: Form = "overlay"
"""What `Accept: image/png` alone means."""

DICOM_FORM: Form = "seg"
"""What `Accept: application/dicom` alone means."""

_ANY = rf"(?:{'|'.join(FORMS)})"
OUTPUT = rf"^{_ANY}(?:,{_ANY})*$"
"""What `output` may be: one form, or several."""

_OFFERS: dict[str, Form] = {
    "application/json": "json",
    "image/png": PNG_FORM,
    "application/dicom": DICOM_FORM,
}


def choose_form(output: str | None, accept: str) -> Form:
    """Choose the form of the result.

    Parameters
    ----------
    output
        The query parameter, or None.
    accept
        The Accept header (RFC 9110, 12.5.1); empty means anything.

    Raises
    ------
    NotAcceptable
        Nothing we give is asked for.
    """
    if output is not None:
        if output not in FORMS:
            raise NotAcceptable("output", f"output must be one of {', '.join(FORMS)}.")
        return cast(Form, output)
    if not accept.strip():
        return "json"
    best = _best(_OFFERS, accept)
    if best is None:
        raise NotAcceptable("accept", f"The result is one of {', '.join(_OFFERS)}.")
    return best


def choose_forms(output: str | None, accept: str) -> tuple[Form, ...]:
    """Choose one form, as `choose_form`, or the several that `output` lists, each once.

    Raises
    ------
    NotAcceptable
        Nothing we give is asked for.
    """
    named = (output,) if output is None else output.split(",")
    return tuple(dict.fromkeys(choose_form(name, accept) for name in named))


def choose_without_dicom(forms: tuple[Form, ...], accept: str) -> tuple[Form, ...]:
    """Choose again by the Accept header, for an image of which no DICOM object can be made.

    Parameters
    ----------
    forms, accept
        What was chosen by it, and the header. They stay where nothing else is accepted.
    """
    if not accept.strip():
        return forms
    best = _best({kind: form for kind, form in _OFFERS.items() if form != DICOM_FORM}, accept)
    return forms if best is None else (best,)


def _best(offers: Mapping[str, Form], accept: str) -> Form | None:
    """Return the form that is accepted most, of equals the first; None where none is."""
    best = max(offers, key=lambda offer: _quality(offer, accept))
    return offers[best] if _quality(best, accept) > 0.0 else None


def _quality(media_type: str, accept: str) -> float:
    """Return the weight of a media type: of the most specific range that matches it."""
    matches: list[tuple[int, float]] = []
    for item in accept.split(","):
        span, *parameters = (part.strip().lower() for part in item.split(";"))
        ranks = {media_type: 2, media_type.split("/")[0] + "/*": 1, "*/*": 0}
        if span in ranks:
            matches.append((ranks[span], _weight(parameters)))
    return max(matches)[1] if matches else 0.0


def _weight(parameters: list[str]) -> float:
    for parameter in parameters:
        name, _, value = parameter.partition("=")
        if name.strip() == "q":
            try:
                return min(1.0, max(0.0, float(value)))
            except ValueError:
                return 0.0
    return 1.0
