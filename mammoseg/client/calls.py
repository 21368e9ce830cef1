"""Each call of the service: its request, and how the answer is read. No input or output here."""

import json
import os
import zipfile
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from email.message import Message
from typing import Any, Generic, Literal, TypeVar

import httpx

from mammoseg.client.errors import AnswerBroken
from mammoseg.client.others import DicomFile, ModelDescription
from mammoseg.client.results import SegmentationResult
from mammoseg.client.study import Study

Render = Literal["mask", "heatmap", "overlay"]
Spacing = float | tuple[float, float]
ResultT = TypeVar("ResultT")

DICOM_KINDS = ("seg", "seg-fractional", "sr", "cad-sr", "sc", "gsps")
"""Results that are DICOM objects."""

BINARY = "application/octet-stream"
"""The service knows a file by its content."""


@dataclass(frozen=True, slots=True)
class Call(Generic[ResultT]):
    """A request, and how its answer is read.

    Attributes
    ----------
    method, path, params
        Of the request.
    read
        Makes the result of the answer.
    content
        Body, as it is.
    files
        Bodies of a form.
    accept
        Media type that is wanted.
    """

    method: str
    path: str
    read: Callable[[httpx.Response], ResultT]
    params: Mapping[str, str] = field(default_factory=dict)
    content: bytes | None = None
    files: tuple[bytes, ...] = ()
    accept: str = "application/json"

    def arguments(self) -> dict[str, Any]:
        """Return the arguments of httpx's `request`."""
        headers = {"Accept": self.accept}
        made: dict[str, Any] = {"params": dict(self.params), "headers": headers}
        if self.content is not None:
            headers["Content-Type"] = BINARY
            made["content"] = self.content
        if self.files:
            # Names of files may be those of patients.
            made["files"] = [
                ("file", (f"image-{number}", file, BINARY))
                for number, file in enumerate(self.files)
            ]
        return made


def segment(
    file: bytes,
    *,
    pixel_spacing_mm: Spacing | None,
    gate: bool,
    frame: int | None,
    include: Iterable[Render],
    max_side: int | None,
) -> Call[SegmentationResult]:
    """Return the call that finds lesions in one image."""
    params = _choices(pixel_spacing_mm, gate, frame)
    if renders := ",".join(include):
        params["include"] = renders
    if max_side is not None:
        params["max_side"] = str(max_side)
    read = _json(SegmentationResult.from_json)
    return Call("POST", "/v1/segment", read, params, content=file)


def picture(
    file: bytes,
    kind: Render,
    *,
    pixel_spacing_mm: Spacing | None,
    gate: bool,
    frame: int | None,
    max_side: int | None,
) -> Call[bytes]:
    """Return the call that makes a PNG of one image."""
    params = _choices(pixel_spacing_mm, gate, frame) | {"output": kind}
    if max_side is not None:
        params["max_side"] = str(max_side)

    def read(answer: httpx.Response) -> bytes:
        _check_type(answer, "image/png")
        return answer.content

    return Call("POST", "/v1/segment", read, params, content=file, accept="image/png")


def dicom(
    file: bytes,
    kinds: Sequence[str],
    *,
    pixel_spacing_mm: Spacing | None,
    gate: bool,
    frame: int | None,
) -> Call[dict[str, DicomFile]]:
    """Return the call that makes DICOM results of one DICOM file."""
    kinds = tuple(dict.fromkeys(kinds))
    if not kinds:
        raise ValueError("at least one kind of result is needed")
    params = _choices(pixel_spacing_mm, gate, frame) | {"output": ",".join(kinds)}

    def read(answer: httpx.Response) -> dict[str, DicomFile]:
        if len(kinds) == 1:
            _check_type(answer, "application/dicom")
            return {kinds[0]: DicomFile(kinds[0], answer.content)}
        files = parts_of(answer)
        if len(files) != len(kinds):
            raise AnswerBroken(f"{len(kinds)} objects were asked for, {len(files)} came")
        return {kind: DicomFile(kind, one) for kind, one in zip(kinds, files, strict=True)}

    return Call("POST", "/v1/segment", read, params, content=file, accept="*/*")


def study(files: Sequence[bytes], *, pixel_spacing_mm: Spacing | None, gate: bool) -> Call[Study]:
    """Return the call that finds lesions in the images of one study."""
    if not files:
        raise ValueError("at least one file is needed")
    params = _choices(pixel_spacing_mm, gate, None)
    return Call("POST", "/v1/studies", _json(Study.from_json), params, files=tuple(files))


def model() -> Call[ModelDescription]:
    """Return the call that asks which model is in use."""
    return Call("GET", "/v1/model", _json(ModelDescription.from_json))


def ready() -> Call[bool]:
    """Return the call that asks whether mammograms are taken."""
    return Call("GET", "/health/ready", lambda answer: True)


def write_study_zip(
    target: str | os.PathLike[str] | Any,
    study: Study,
    results: Sequence[Mapping[str, DicomFile]],
) -> None:
    """Write a study into a ZIP: `study.json`, and of each image that was judged mask and results.

    Parameters
    ----------
    target
        A path, or a file opened to be written.
    study
        The answer.
    results
        DICOM results of each image, in their order; none of those that were refused.
    """
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("study.json", json.dumps(study.document, indent=1))
        for entry, files in zip(study.images, results, strict=True):
            if entry.result is None:
                continue
            name = f"{entry.index}-{entry.result.image.laterality or 'X'}"
            name += f"-{entry.result.image.view_position or 'X'}"
            archive.writestr(f"{name}-mask.png", entry.result.mask_png())
            for kind, file in files.items():
                archive.writestr(f"{name}-{kind}.dcm", file.content)


def _choices(pixel_spacing_mm: Spacing | None, gate: bool, frame: int | None) -> dict[str, str]:
    params: dict[str, str] = {}
    if pixel_spacing_mm is not None:
        spacing = pixel_spacing_mm if isinstance(pixel_spacing_mm, tuple) else (pixel_spacing_mm,)
        params["pixel_spacing_mm"] = ",".join(str(float(each)) for each in spacing)
    if not gate:
        params["gate"] = "false"
    if frame is not None:
        params["frame"] = str(frame)
    return params


def _json(parse: Callable[[Any], ResultT]) -> Callable[[httpx.Response], ResultT]:
    def read(answer: httpx.Response) -> ResultT:
        try:
            return parse(answer.json())
        except (KeyError, TypeError, ValueError, IndexError, AttributeError) as error:
            what = parse.__qualname__.split(".")[0]
            raise AnswerBroken(f"the answer is no {what} of this service") from error

    return read


def _check_type(answer: httpx.Response, wanted: str) -> None:
    found = answer.headers.get("Content-Type", "").split(";")[0].strip().lower()
    if found != wanted:
        raise AnswerBroken(f"the answer is {found or 'of no type'}, not {wanted}")


def parts_of(answer: httpx.Response) -> list[bytes]:
    """Return the parts of a multipart answer (RFC 2046, 5.1.1).

    Raises
    ------
    AnswerBroken
        It is none, or breaks off.
    """
    header = Message()
    header["Content-Type"] = answer.headers.get("Content-Type", "")
    boundary = header.get_boundary()
    if header.get_content_maintype() != "multipart" or boundary is None:
        raise AnswerBroken("the answer is not multipart")
    pieces = (b"\r\n" + answer.content).split(b"\r\n--" + boundary.encode("latin-1"))
    if len(pieces) < 3 or not pieces[-1].startswith(b"--"):
        raise AnswerBroken("the answer breaks off")
    bodies = [piece.partition(b"\r\n\r\n") for piece in pieces[1:-1]]
    if not all(separator for _, separator, _ in bodies):
        raise AnswerBroken("a part of the answer has no header")
    return [body for _, _, body in bodies]
