"""An instance of the inbox -> its results on the disk, by the same way as a request's."""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, ExitStack
from io import BytesIO

from pydicom import dcmread

from service.cancellation import CancelToken
from service.inbox.files import Files, disk_bytes
from service.inbox.states import Entry, StoredResult
from service.outputs.dicom.registry import dicom_files, picture_side
from service.segmenter import Segmenter, SegmentOptions


class ResultWriter:
    """Makes the results of one instance after another; from several threads at once.

    Parameters
    ----------
    segmenter
        The service's.
    files
        The inbox's.
    kinds
        Keys of `service.outputs.dicom.registry.OUTPUTS`.
    observe
        Told how long each stage took, in milliseconds.
    """

    def __init__(
        self,
        segmenter: Segmenter,
        files: Files,
        kinds: Sequence[str],
        *,
        observe: Callable[[dict[str, float]], None],
    ) -> None:
        self._segmenter, self._files, self._kinds = segmenter, files, tuple(kinds)
        self._observe = observe
        self._options = SegmentOptions(picture_side=picture_side(kinds))

    def write(
        self,
        entry: Entry,
        pixels: Callable[[int, CancelToken], AbstractContextManager[None]],
        token: CancelToken,
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

        Raises
        ------
        MammosegError
            As `Segmenter.segment` and `dicom_files` say.
        OSError
            The files cannot be read or written.
        """
        body = self._files.source(entry.digest).read_bytes()
        with ExitStack() as held:
            findings = self._segmenter.segment(
                body,
                "dicom",
                self._options,
                reserve_pixels=lambda count: held.enter_context(pixels(count, token)),
                token=token,
            )
            self._observe(findings.timing_ms)
            contents = dicom_files(self._kinds, findings)
        digests = self._files.write_results(contents)
        return [
            StoredResult(kind, _uid(content), digest, disk_bytes(len(content)))
            for kind, content, digest in zip(self._kinds, contents, digests, strict=True)
        ]


def _uid(content: bytes) -> str:
    """Return the SOP Instance UID of a file of our own making."""
    header = dcmread(BytesIO(content), stop_before_pixels=True, specific_tags=["SOPInstanceUID"])
    return str(header.SOPInstanceUID)
