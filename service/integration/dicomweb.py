"""A DICOMweb server as the source of a study's mammograms, and as the place for their results."""

from collections.abc import Iterable, Iterator, Sequence
from io import BytesIO
from typing import NamedTuple

import pydicom
from dicomweb_client.api import DICOMwebClient
from dicomweb_client.session_utils import create_session_from_user_pass

SERIES_UID, INSTANCE_UID = "0020000E", "00080018"
TIMEOUT_S = 60.0


class Place(NamedTuple):
    """Where an instance of the study is found."""

    series_uid: str
    instance_uid: str


class Archive:
    """One study on a server. Every method raises OSError where the server does not comply.

    Parameters
    ----------
    url
        Root of its DICOMweb services.
    study_uid
        The Study Instance UID.
    credentials
        Name and password of basic authentication, where it wants them.
    """

    def __init__(
        self, url: str, study_uid: str, credentials: tuple[str, str] | None = None
    ) -> None:
        session = create_session_from_user_pass(*credentials) if credentials else None
        self._client = DICOMwebClient(
            url.rstrip("/"), session=session, permissive_uid=True, timeout=TIMEOUT_S
        )
        self._study_uid = study_uid

    def mammograms(self, modalities: Iterable[str]) -> Iterator[Place]:
        """Search the study for instances of series of some modalities (PS3.18 10.6)."""
        for modality in sorted(modalities):
            for series in self._client.search_for_series(
                self._study_uid, search_filters={"Modality": modality}
            ):
                series_uid = series[SERIES_UID]["Value"][0]
                for instance in self._client.search_for_instances(self._study_uid, series_uid):
                    yield Place(series_uid, instance[INSTANCE_UID]["Value"][0])

    def retrieve(self, place: Place) -> bytes:
        """Retrieve an instance (PS3.18 10.4) in the transfer syntax that it is stored in.

        The elements are the server's, byte by byte; the file is written anew around them.
        """
        dataset = self._client.retrieve_instance(
            self._study_uid, *place, media_types=(("application/dicom", "*"),)
        )
        sink = BytesIO()
        pydicom.dcmwrite(sink, dataset)
        return sink.getvalue()

    def store(self, files: Sequence[bytes]) -> int:
        """Store files into the study (PS3.18 10.5); give how many the server did not take."""
        datasets = [pydicom.dcmread(BytesIO(file)) for file in files]
        answer = self._client.store_instances(datasets, self._study_uid)
        return len(answer.get("FailedSOPSequence", ()))
