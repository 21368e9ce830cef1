"""An instance of the inbox -> its results on the disk, by the same way as a request's."""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, ExitStack
from io import BytesIO

from pydicom import dcmread

from service.cancellation import CancelToken
from service.inbox.files import Files, disk_bytes
from service.inbox.states import Entry, StoredResult
from service.outputs.dicom.document import DocumentReference
from service.outputs.dicom.registry import dicom_files, picture_side, with_report
from service.segmenter import SegmentOptions
from service.serving.shadow import Shadow
from service.telemetry.observed import Observed
from service.telemetry.tracing import NO_TRACE, Trace


class ResultWriter:
    """Makes the results of one instance after another; from several threads at once.

    Parameters
    ----------
    observed
        The service's segmenter.
    files
        The inbox's.
    kinds
        Keys of `service.outputs.dicom.registry.OUTPUTS`.
    predecessors
        Returns, by SOP Instance UID, the reports that an image was not analysed: what is made now
        replaces them, by a report of its own if `kinds` have none.
    shadow
        Judges a share of the instances, too; None without one.
    """

    def __init__(
        self,
        observed: Observed,
        files: Files,
        kinds: Sequence[str],
        predecessors: Callable[[str], Sequence[DocumentReference]] = lambda _: (),
        shadow: Shadow | None = None,
    ) -> None:
        self._shadow = shadow
        self._observed, self._files, self._kinds = observed, files, tuple(kinds)
        self._predecessors = predecessors
        self._options = SegmentOptions(picture_side=picture_side(kinds))

    def write(
        self,
        entry: Entry,
        pixels: Callable[[int, CancelToken], AbstractContextManager[None]],
        token: CancelToken,
        trace: Trace = NO_TRACE,
    ) -> list[StoredResult]:
        """Make the results; on return they are on the disk. Made again, they are the same bytes.

        Parameters
        ----------
        entry
            The instance.
        pixels
            Grants memory for so many pixels while in its context.
        token
            How long to wait for that, a reader, and the net.
        trace
            The instance's.

        Raises
        ------
        MammosegError
            As `Segmenter.segment` and `dicom_files` say.
        OSError
            The files cannot be read or written.
        """
        predecessors = self._predecessors(entry.sop_instance_uid)
        kinds = with_report(self._kinds) if predecessors else self._kinds
        body = self._files.source(entry.digest).read_bytes()
        with ExitStack() as held:
            with self._observed.version() as observed:
                findings = observed.segment(
                    body,
                    "dicom",
                    self._options,
                    source="inbox",
                    reserve_pixels=lambda count: held.enter_context(pixels(count, token)),
                    token=token,
                    trace=trace,
                )
            with self._observed.stage("outputs", trace):
                contents = dicom_files(kinds, findings, predecessors)
                digests = self._files.write_results(contents)
            after = None
            if self._shadow is not None:
                after = self._shadow.offer(findings, body, "inbox")
        if after is not None:
            after()
        return [
            StoredResult(kind, _uid(content), digest, disk_bytes(len(content)))
            for kind, content, digest in zip(kinds, contents, digests, strict=True)
        ]


def _uid(content: bytes) -> str:
    """Return the SOP Instance UID of a file of our own making."""
    header = dcmread(BytesIO(content), stop_before_pixels=True, specific_tags=["SOPInstanceUID"])
    return str(header.SOPInstanceUID)
