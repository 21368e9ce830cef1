"""What an archive has: the files of a folder or a DICOMDIR, the instances that a server names."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

import httpx

from service.batch.archive.items import FileItem, InstanceItem, Item, Query
from service.batch.sources import find
from service.dicomweb.archive import Archive, studies
from service.dicomweb.search import Server, ServerFailed
from service.imaging.elements import is_uid


@dataclass(slots=True)
class Listed:
    """What there is.

    Attributes
    ----------
    items
        None twice.
    others
        Files that are no images.
    faults
        What cannot be looked into, a sentence each.
    """

    items: list[Item] = field(default_factory=list)
    others: int = 0
    faults: list[str] = field(default_factory=list)


def query_of(source: str, credentials: tuple[str, str] | None) -> Query | None:
    """Return the query that a URL is; None for what is the name of a file or folder.

    `https://pacs/dicom-web` is all studies, `https://pacs/dicom-web/studies?StudyDate=20200101-`
    some of them.

    Raises
    ------
    ValueError
        The URL is none that can be asked; the message says why.
    """
    if not source.lower().startswith(("http://", "https://")):
        return None
    try:
        url = httpx.URL(source)
    except httpx.InvalidURL:
        raise ValueError("it is no URL") from None
    if not url.host:
        raise ValueError("the URL names no server")
    if url.userinfo:
        raise ValueError("name and password do not belong into a URL, which others see")
    filters = tuple(url.params.multi_items())
    if any(key.lower() in ("limit", "offset") for key, _ in filters):
        raise ValueError("limit and offset are chosen here, page by page")
    if len({key for key, _ in filters}) < len(filters):
        raise ValueError("a key of the query stands there twice")
    root = str(url.copy_with(query=None, fragment=None)).rstrip("/").removesuffix("/studies")
    return Query(root, filters, credentials)


def list_files(source: str, out: Path) -> Listed:
    """List the images of a folder and those in it, of a DICOMDIR, or one file.

    Parameters
    ----------
    out
        The folder of the results, in which nothing is looked for.
    """
    found = find([source], out)
    items: list[Item] = [FileItem(each.path, each.is_named) for each in found.sources]
    return Listed(items, found.others, found.faults)


def list_instances(query: Query, modalities: Iterable[str]) -> Listed:
    """List the instances of series of some modalities of the studies that a query finds.

    Raises
    ------
    ServerFailed
        Studies cannot be searched at all.
    """
    listed = Listed()
    modalities = tuple(modalities)
    server = Server(query.credentials)
    known: set[bytes] = set()
    try:
        for study_uid in studies(server, query.root, dict(query.filters)):
            if not is_uid(study_uid):
                listed.faults.append("a study without a valid UID was found")
                continue
            _take_study(server, query, study_uid, modalities, listed, known)
    except ServerFailed as failure:
        if not known:
            raise
        listed.faults.append(f"not all studies could be found ({failure.code})")
    return listed


def _take_study(
    server: Server,
    query: Query,
    study_uid: str,
    modalities: tuple[str, ...],
    listed: Listed,
    known: set[bytes],
) -> None:
    try:
        for reference in Archive(query.root, study_uid, server=server).mammograms(modalities):
            item = InstanceItem(study_uid, reference)
            if item.location not in known:
                known.add(item.location)
                listed.items.append(item)
    except ServerFailed as failure:
        listed.faults.append(f"study {study_uid} could not be searched ({failure.code})")
        if failure.code == "unreachable":
            # Nor would the next be; each costs a minute.
            raise
