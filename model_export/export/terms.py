"""What may be done with weights, by the terms of what they were trained on."""

from collections.abc import Sequence

from model_export.datasets.names import source_name

ATTRIBUTION = {
    "cbis-ddsm": "CC BY 3.0",
    "cbis-ddsm-800": "CC BY 3.0",
    "cdd-cesm": "CC BY 4.0 by its archive's entry",
}
"""Sources whose terms ask for attribution and no more."""

RESEARCH = frozenset(("inbreast", "mini-mias", "rsna-640"))
"""Sources whose terms allow research alone."""

NO_DEVICE = "No medical device: not for diagnosis, screening or treatment."


def licence(sources: Sequence[str]) -> str:
    """Return the terms of weights that were trained on these sources.

    The narrowest source decides. Of a source that is not known here, its owner must say.
    """
    free = [f"{source_name(one)} ({ATTRIBUTION[one]})" for one in sources if one in ATTRIBUTION]
    narrow = [source_name(one) for one in sources if one in RESEARCH]
    unknown = [one for one in sources if one not in ATTRIBUTION and one not in RESEARCH]
    if narrow:
        said = f"Research use only, no commercial use: the terms of {_listed(narrow)} bind them."
    elif unknown:
        said = f"The terms of {_listed(unknown)} bind them; no one stated them here."
    else:
        said = "They may be used, commercially too, with attribution; see service/models/LICENSE."
    trained = [*free, *narrow, *unknown]
    return f"Weights trained on {_listed(trained)}. {said} {NO_DEVICE}"


def _listed(names: Sequence[str]) -> str:
    *most, last = names
    return f"{', '.join(most)} and {last}" if most else last
