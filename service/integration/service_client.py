"""The service as its clients see it: who answers, is it ready, what comes of an image."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import httpx

from service.dicomweb.multipart import MultipartReader, media_type_and_boundary
from service.dicomweb.url import without_credentials
from service.errors import PASSING_CODES, InvalidRequest, MammosegError
from service.findings import ModelIdentity
from service.imaging import elements
from service.imaging.dicom import parse
from service.imaging.limits import ReadLimits
from service.imaging.pixel_digest import pixel_digest
from service.imaging.pixel_size import read_pixel_size
from service.integration.remote import Denied, Refused, Unavailable, ask
from service.outputs.dicom.identity import Origin
from service.outputs.dicom.registry import OUTPUTS


@dataclass(frozen=True, slots=True)
class ServiceIdentity:
    """Which model answers, in which version of the service: the UIDs of results follow from it."""

    model: ModelIdentity
    service_version: str


class ServiceClient:
    """A running service; every method but `is_ready` raises `Unavailable` where it is not."""

    def __init__(self, client: httpx.Client) -> None:
        self._client = client

    def is_ready(self) -> bool:
        """Say whether mammograms are taken now."""
        try:
            ask(self._client, "GET", "/health/ready")
        except (Unavailable, Refused, Denied):
            return False
        return True

    def identity(self) -> ServiceIdentity:
        """Ask who answers; raises Denied where that is no service of ours."""
        try:
            told = ask(self._client, "GET", "/v1/model").json()
            contract = told["contract"]
            model = ModelIdentity(contract["name"], contract["version"], told["sha256"])
            return ServiceIdentity(model, told["service_version"])
        except (Refused, ValueError, KeyError, TypeError):
            where = without_credentials(str(self._client.base_url))
            raise Denied(f"{where} is no mammoseg") from None

    def results(self, file: bytes, kinds: Sequence[str]) -> list[bytes]:
        """Have DICOM results made of a DICOM file, in the order of their kinds.

        Raises
        ------
        Refused
            The image is not one that the service judges; the reason is its code.
        """
        try:
            answer = ask(
                self._client,
                "POST",
                "/v1/segment",
                params={"output": ",".join(kinds)},
                content=file,
                headers={"Content-Type": "application/dicom"},
            )
        except Refused as refusal:
            if refusal.reason in PASSING_CODES:
                raise Unavailable(refusal.reason) from None
            raise
        return [answer.content] if len(kinds) == 1 else _parts(answer)


@dataclass(slots=True)
class _Files:
    """Keeps the parts of a body."""

    files: list[bytearray] = field(default_factory=list)

    def begin(self, headers: Mapping[str, str]) -> None:
        self.files.append(bytearray())

    def write(self, data: memoryview) -> None:
        self.files[-1] += data

    def end(self) -> None:
        pass


def _parts(answer: httpx.Response) -> list[bytes]:
    sink = _Files()
    _, boundary = media_type_and_boundary(answer.headers.get("Content-Type", ""))
    try:
        reader = MultipartReader(boundary, sink, most_parts=len(OUTPUTS))
        reader.feed(answer.content)
        reader.close()
    except InvalidRequest:
        raise Unavailable("answer-broken") from None
    return [bytes(file) for file in sink.files]


def origin_of(file: bytes, identity: ServiceIdentity) -> Origin | None:
    """Return what the UIDs of a file's results will follow from; None where it has none.

    A wrong guess costs a request and no more: what is stored is told apart by its real UID.
    """
    try:
        parsed = parse(file, ReadLimits().max_inflated_bytes)
        digest = pixel_digest(parsed)
    except MammosegError:
        return None
    source_uid = elements.uid(parsed.dataset, "SOPInstanceUID")
    if source_uid is None:
        return None
    return Origin(
        source_uid,
        digest,
        identity.model,
        read_pixel_size(parsed.dataset).pixel_spacing_mm,
        service_version=identity.service_version,
    )
