"""The DICOM conformance statement and the IHE statement, filled with what the code says.

`python -m docs.generator.statements` writes them anew; a test fails when they are not what the
code says. Words stand in `*.md.in` beside this file, and tables where `{{name}}` stands there.
"""

import re
from collections.abc import Callable, Mapping
from pathlib import Path

from docs.generator import audit_tables, network_tables, object_tables
from service.destinations import association, store
from service.destinations.line import MAX_PDU_BYTES
from service.dicomweb import search
from service.inbox import acceptor, committer
from service.inbox.association_request import MAX_REQUEST_BYTES

ROOT = Path(__file__).parents[2]
PAGES = {
    Path("docs/conformance.md"): Path("docs/generator/conformance.md.in"),
    Path("docs/ihe.md"): Path("docs/generator/ihe.md.in"),
}
"""Pages, and what they are made of."""

TABLES: Mapping[str, Callable[[], str]] = {
    "audit messages": audit_tables.audit_table,
    "character sets": network_tables.character_set_table,
    "cipher suites": network_tables.cipher_table,
    "configuration": network_tables.configuration_table,
    "file meta information": object_tables.file_meta_table,
    "http status": network_tables.http_status_table,
    "objects": object_tables.object_tables,
    "other contexts": network_tables.other_context_table,
    "proposed contexts": network_tables.proposed_table,
    "rejections": network_tables.rejection_table,
    "requests of pull": network_tables.request_table,
    "results": network_tables.results_table,
    "status": network_tables.store_status_table,
    "storage classes": network_tables.storage_class_table,
    "storage syntaxes": network_tables.storage_syntax_table,
}

VALUES: Mapping[str, object] = {
    "implementation class UID": network_tables.default_entity().implementation_class_uid,
    "implementation version name": network_tables.default_entity().implementation_version_name,
    "seconds for a request": f"{acceptor.REQUEST_S:.0f}",
    "most waiting": acceptor.MAX_WAITING,
    "most bytes of a request": MAX_REQUEST_BYTES,
    "seconds idle": f"{store.IDLE_S:.0f}",
    "seconds for a release": f"{association.RELEASE_S:.0f}",
    "bytes of our PDU": MAX_PDU_BYTES,
    "most in a commitment": committer.MAX_ASKED,
    "port of dicom": store.PORTS["dicom"],
    "port of dicoms": store.PORTS["dicoms"],
    "results of a page": search.PAGE,
    "most results": search.MAX_RESULTS,
    "attempts": search.ATTEMPTS,
}

_PLACE = re.compile(r"\{\{([^}]+)\}\}")


def statement(template: str) -> str:
    """Return a page with its tables and values filled in.

    Raises
    ------
    KeyError
        It asks for what there is not.
    """

    def filled(match: re.Match[str]) -> str:
        name = match[1]
        return TABLES[name]() if name in TABLES else str(VALUES[name])

    return _PLACE.sub(filled, template)


def statements(root: Path = ROOT) -> dict[Path, str]:
    """Return the pages, by their paths."""
    return {
        page: statement((root / template).read_text(encoding="utf-8"))
        for page, template in PAGES.items()
    }


if __name__ == "__main__":
    for page, text in statements().items():
        (ROOT / page).write_text(text, encoding="utf-8")
