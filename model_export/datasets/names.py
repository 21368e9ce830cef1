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
    """Return a source's name as people write it; that of a pair names what stands against what."""
    positives, against, normals = source.partition(" against ")
    if against:
        return f"{source_name(positives)}, against the normals of {source_name(normals)}"
    return NAMES.get(source, source)
