"""The presentation contexts (PS3.8 9.3.2.2) in which results are offered to an archive."""

from collections.abc import Iterable, Mapping

from pynetdicom import build_context
from pynetdicom.presentation import PresentationContext

from service.destinations.commitment import PUSH_MODEL
from service.destinations.transcode import PLAIN


def proposed_contexts(
    syntaxes: Mapping[str, Iterable[str]], *, commitment: bool
) -> list[PresentationContext]:
    """Return what an archive is asked to accept.

    Each class in its own syntaxes and without compression, each in a context of its own.

    Parameters
    ----------
    syntaxes
        Transfer syntax UIDs by SOP Class UID, as the objects are made.
    commitment
        Whether the archive is asked to commit itself.
    """
    contexts = [
        build_context(sop_class, syntax)
        for sop_class, natives in sorted(syntaxes.items())
        for syntax in dict.fromkeys((*sorted(natives), *PLAIN))
    ]
    if commitment:
        contexts.append(build_context(PUSH_MODEL, list(PLAIN)))
    return contexts
