"""`mammoseg pull`: the mammograms of a study, fetched, segmented here, results kept or stored."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from service.audit.instances import InstanceIdentity
from service.dicomweb.archive import Archive, InstanceUids, ServerFailed
from service.dicomweb.audited import RemoteAudit, identity_in
from service.errors import MammosegError
from service.imaging.limits import ReadLimits
from service.outputs.dicom.registry import dicom_files, picture_side
from service.outputs.files import OVERLAY_SIDE, write_findings, write_whole
from service.segmenter import Segmenter, SegmentOptions


class Report(Protocol):
    """Who is told what comes of each instance."""

    def done(self, reference: InstanceUids, score: float) -> None:
        """Say that it was segmented and its results are where they belong."""

    def refused(self, reference: InstanceUids, reason: str) -> None:
        """Say that it was not."""


@dataclass(frozen=True, slots=True)
class Pull:
    """What becomes of a study's mammograms.

    Attributes
    ----------
    segmenter
        Looks at them.
    limits
        Of its reader.
    kinds
        DICOM results to make, keys of `outputs.dicom.registry.OUTPUTS`.
    out
        Folder for files named by SOP Instance UID: what `mammoseg segment` writes, and the DICOM
        results as `<uid>-<kind>.dcm`; None for none.
    store
        Store the DICOM results into the study on the server.
    audit
        Is told of all that.
    """

    segmenter: Segmenter
    limits: ReadLimits
    kinds: tuple[str, ...]
    out: Path | None
    store: bool
    audit: RemoteAudit = field(default_factory=RemoteAudit)

    def run(self, archive: Archive, report: Report) -> int:
        """Go through a study; return how many mammograms were not dealt with.

        Raises
        ------
        ServerFailed
            The server cannot be searched, or not to the end; what was found is dealt with.
        """
        refused = 0
        for reference in self._searched(archive):
            reason = self._attempt(archive, reference, report)
            if reason is not None:
                report.refused(reference, reason)
                refused += 1
        return refused

    def _searched(self, archive: Archive) -> Iterator[InstanceUids]:
        modalities = self.limits.accept_modalities
        query = f"{archive.study_url}/series?Modality={','.join(sorted(modalities))}"
        try:
            yield from archive.mammograms(modalities)
        except ServerFailed as failure:
            self.audit.searched(query, failure.code)
            raise
        self.audit.searched(query)

    def _attempt(self, archive: Archive, reference: InstanceUids, report: Report) -> str | None:
        """Deal with one instance; return why not, in words of our own."""
        try:
            report.done(reference, self._segment(archive, reference))
        except MammosegError as error:
            return str(error)
        except ServerFailed as failure:
            # Text of the server's is not passed on: it may quote the patient.
            return f"the server failed ({failure.code})"
        except OSError as error:
            return f"its results cannot be written ({type(error).__name__})"
        return None

    def _segment(self, archive: Archive, reference: InstanceUids) -> float:
        body = self._retrieved(archive, reference)
        side = max(picture_side(self.kinds), 0 if self.out is None else OVERLAY_SIDE)
        findings = self.segmenter.segment(body, options=SegmentOptions(picture_side=side))
        files = dicom_files(self.kinds, findings)
        if self.out is not None:
            write_findings(self.out, reference.instance_uid, findings)
            for kind, file in zip(self.kinds, files, strict=True):
                write_whole(self.out / f"{reference.instance_uid}-{kind}.dcm", file)
            if self.audit.is_on:
                self.audit.exported(self.out, identity_in(body))
        if self.store:
            self._store(archive, files)
        return findings.has_mask.score

    def _retrieved(self, archive: Archive, reference: InstanceUids) -> bytes:
        try:
            body = archive.retrieve(reference)
        except ServerFailed as failure:
            study, uid = archive.study_uid, reference.instance_uid
            self.audit.fetched(InstanceIdentity(None, uid, study), failure.code)
            raise
        if self.audit.is_on:
            self.audit.fetched(identity_in(body))
        return body

    def _store(self, archive: Archive, files: list[bytes]) -> None:
        results = list(map(identity_in, files)) if self.audit.is_on else []
        self.audit.storing(results)
        try:
            is_failed = archive.store(files) > 0
        except ServerFailed as failure:
            self.audit.stored(results, failure.code)
            raise
        self.audit.stored(results, "not-stored" if is_failed else None)
        if is_failed:
            raise ServerFailed("not-stored")
