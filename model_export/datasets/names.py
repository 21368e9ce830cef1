"""The data sets as people write their names."""

NAMES = {
    "all": "All sources",
    "cbis-ddsm": "CBIS-DDSM",
    "cbis-ddsm-800": "CBIS-DDSM, masses at 800 x 800",
    "cbis-ddsm-views": "CBIS-DDSM, eight views",
    "cdd-cesm": "CDD-CESM",
    "inbreast": "INbreast",
    "mini-mias": "mini-MIAS",
    "rsna-640": "RSNA",
}


def source_name(source: str) -> str:
    """Give a source's name as people write it."""
    return NAMES.get(source, source)
