"""The client that waits."""

import os
import time
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Self, TypeVar

import httpx

from mammoseg.client import calls
from mammoseg.client.calls import Call, Render, Spacing
from mammoseg.client.errors import AnswerBroken, ClientError
from mammoseg.client.files import ImageFile, read_file
from mammoseg.client.others import DicomFile, ModelDescription
from mammoseg.client.results import SegmentationResult
from mammoseg.client.retry import Attempts, RetryPolicy
from mammoseg.client.study import Study

ResultT = TypeVar("ResultT")

IMAGE_S = 30.0
"""After which the service gives up an image, by default."""

ANSWER_S, CONNECT_S = 120.0, 5.0

TIMEOUT = httpx.Timeout(ANSWER_S, connect=CONNECT_S)
"""Of a request with one image, seconds: longer than the service itself takes until it gives up."""


class Client:
    """A running service. May be used from several threads at once.

    A request that the service is too busy for is sent again when it says, or later each time. All
    calls raise `ProblemError` where the service says no, by class and code; `ServiceUnreachable`
    where no answer comes; `AnswerBroken` where the answer is none of the service's.

    Parameters
    ----------
    url
        Such as "http://127.0.0.1:8000".
    key
        Sent as `Authorization: Bearer KEY`, where the service asks for one.
    model
        Name of the model that answers, of those that the service has; its default one when None.
    retry
        How often and how long to ask again.
    timeout
        Of one request, seconds, or httpx's own; by default `TIMEOUT`, and for each further image of
        a study as much more as the service may take.
    sleep
        Waits between two tries.
    options
        Further ones of `httpx.Client`: verify, cert, proxy, headers, transport.
    """

    def __init__(
        self,
        url: str = "http://127.0.0.1:8000",
        *,
        key: str | None = None,
        model: str | None = None,
        retry: RetryPolicy | None = None,
        timeout: float | httpx.Timeout = TIMEOUT,
        sleep: Callable[[float], None] = time.sleep,
        **options: Any,
    ) -> None:
        self._http = httpx.Client(
            base_url=url, timeout=timeout, **with_model(with_key(options, key), model)
        )
        self._retry, self._sleep = retry or RetryPolicy(), sleep

    def segment(
        self,
        file: ImageFile,
        *,
        pixel_spacing_mm: Spacing | None = None,
        gate: bool = True,
        frame: int | None = None,
        include: Iterable[Render] = (),
        max_side: int | None = None,
    ) -> SegmentationResult:
        """Find lesions in one image.

        Parameters
        ----------
        file
            DICOM, PNG, JPEG or TIFF; a grey array; a dataset of pydicom.
        pixel_spacing_mm
            Between centres, one number or (row, column); overrides what the image says.
        gate
            Empty the mask when the has-mask decision is no.
        frame
            Of a multi-frame object, or page of a TIFF, from 1 on.
        include
            Pictures to get as well: "mask", "heatmap", "overlay".
        max_side
            Longest side of heatmap and overlay, pixels.
        """
        return self._do(
            calls.segment(
                read_file(file),
                pixel_spacing_mm=pixel_spacing_mm,
                gate=gate,
                frame=frame,
                include=include,
                max_side=max_side,
            )
        )

    def picture(
        self,
        file: ImageFile,
        kind: Render = "overlay",
        *,
        pixel_spacing_mm: Spacing | None = None,
        gate: bool = True,
        frame: int | None = None,
        max_side: int | None = None,
    ) -> bytes:
        """Return a PNG file: the mask on the image's own pixels, heatmap or overlay."""
        return self._do(
            calls.picture(
                read_file(file),
                kind,
                pixel_spacing_mm=pixel_spacing_mm,
                gate=gate,
                frame=frame,
                max_side=max_side,
            )
        )

    def dicom(
        self,
        file: ImageFile,
        kinds: Sequence[str] = ("seg", "sr"),
        *,
        pixel_spacing_mm: Spacing | None = None,
        gate: bool = True,
        frame: int | None = None,
    ) -> dict[str, DicomFile]:
        """Return DICOM results of a DICOM file, by kind; see `calls.DICOM_KINDS`."""
        return self._do(
            calls.dicom(
                read_file(file),
                kinds,
                pixel_spacing_mm=pixel_spacing_mm,
                gate=gate,
                frame=frame,
            )
        )

    def study(
        self,
        files: Iterable[ImageFile],
        *,
        pixel_spacing_mm: Spacing | None = None,
        gate: bool = True,
    ) -> Study:
        """Find lesions in the images of one study, and score it by breast and as a whole."""
        read = [read_file(file) for file in files]
        return self._do(calls.study(read, pixel_spacing_mm=pixel_spacing_mm, gate=gate))

    def study_zip(
        self,
        files: Iterable[ImageFile],
        target: str | os.PathLike[str] | Any,
        kinds: Sequence[str] = ("seg", "sr"),
        *,
        pixel_spacing_mm: Spacing | None = None,
        gate: bool = True,
    ) -> Study:
        """Do as `study`, and write its answer, masks and DICOM results into a ZIP.

        Parameters
        ----------
        target
            A path, or a file opened to be written.
        kinds
            DICOM results of each image that was judged; empty for none, as of images that are no
            DICOM files.
        """
        read = [read_file(file) for file in files]
        study = self.study(read, pixel_spacing_mm=pixel_spacing_mm, gate=gate)
        results = [
            self.dicom(read[entry.index], kinds, pixel_spacing_mm=pixel_spacing_mm, gate=gate)
            if kinds and entry.result is not None
            else {}
            for entry in study.images
        ]
        calls.write_study_zip(target, study, results)
        return study

    def model(self) -> ModelDescription:
        """Return which model is in use, its contract, licence and card."""
        return self._do(calls.model())

    def is_ready(self) -> bool:
        """Say whether mammograms are taken now; asks once."""
        try:
            return self._do(calls.ready(), RetryPolicy(tries=1))
        except ClientError:
            return False

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _do(self, call: Call[ResultT], retry: RetryPolicy | None = None) -> ResultT:
        attempts, arguments = Attempts(retry or self._retry), call.arguments()
        while True:
            try:
                answer = self._http.request(
                    call.method, call.path, timeout=time_for(call, self._http.timeout), **arguments
                )
                pause_s = attempts.after(answer)
            except httpx.TransportError as error:
                pause_s = attempts.after_failure(error)
            except (httpx.DecodingError, httpx.TooManyRedirects) as error:
                raise AnswerBroken(f"the answer cannot be read ({type(error).__name__})") from error
            if pause_s is None:
                return call.read(answer)
            self._sleep(pause_s)


def time_for(call: Call[Any], timeout: httpx.Timeout) -> httpx.Timeout:
    """Return the timeout of a call: the chosen one, else enough for all of its images."""
    further_s = IMAGE_S * (len(call.files) - 1)
    if timeout != TIMEOUT or further_s <= 0:
        return timeout
    return httpx.Timeout(ANSWER_S + further_s, connect=CONNECT_S)


def with_key(options: dict[str, Any], key: str | None) -> dict[str, Any]:
    """Return options of httpx with a key among the headers, if there is one."""
    headers = httpx.Headers(options.get("headers"))
    if key is not None:
        key = key.strip()
        if not (key and key.isascii() and key.isprintable() and " " not in key):
            # Not its text: it is a secret.
            raise ValueError("a key is visible ASCII, without white space")
        headers["Authorization"] = f"Bearer {key}"
    return options | {"headers": headers}


def with_model(options: dict[str, Any], model: str | None) -> dict[str, Any]:
    """Return options of httpx that ask for a model with each request, if one is named."""
    params = httpx.QueryParams(options.get("params"))
    return options | {"params": params if model is None else params.set("model", model)}
