"""The client for async code: asyncio, and trio as httpx does."""

import os
from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import Any, Self, TypeVar

import anyio
import anyio.to_thread
import httpx

from mammoseg.client import calls
from mammoseg.client.calls import Call, Render, Spacing
from mammoseg.client.errors import AnswerBroken, ClientError
from mammoseg.client.files import ImageFile, read_file
from mammoseg.client.others import DicomFile, ModelDescription
from mammoseg.client.results import SegmentationResult
from mammoseg.client.retry import Attempts, RetryPolicy
from mammoseg.client.study import Study
from mammoseg.client.synchronous import TIMEOUT, time_for, with_key, with_model

ResultT = TypeVar("ResultT")


class AsyncClient:
    """A running service, for async code; everything else as `Client`.

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
        Of one request, seconds, or httpx's own.
    sleep
        Waits between two tries.
    options
        Further ones of `httpx.AsyncClient`: verify, cert, proxy, headers, transport.
    """

    def __init__(
        self,
        url: str = "http://127.0.0.1:8000",
        *,
        key: str | None = None,
        model: str | None = None,
        retry: RetryPolicy | None = None,
        timeout: float | httpx.Timeout = TIMEOUT,
        sleep: Callable[[float], Awaitable[None]] = anyio.sleep,
        **options: Any,
    ) -> None:
        self._http = httpx.AsyncClient(
            base_url=url, timeout=timeout, **with_model(with_key(options, key), model)
        )
        self._retry, self._sleep = retry or RetryPolicy(), sleep

    async def segment(
        self,
        file: ImageFile,
        *,
        pixel_spacing_mm: Spacing | None = None,
        gate: bool = True,
        frame: int | None = None,
        include: Iterable[Render] = (),
        max_side: int | None = None,
    ) -> SegmentationResult:
        """Find lesions in one image; parameters as of `Client.segment`."""
        return await self._do(
            calls.segment(
                await _read(file),
                pixel_spacing_mm=pixel_spacing_mm,
                gate=gate,
                frame=frame,
                include=include,
                max_side=max_side,
            )
        )

    async def picture(
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
        return await self._do(
            calls.picture(
                await _read(file),
                kind,
                pixel_spacing_mm=pixel_spacing_mm,
                gate=gate,
                frame=frame,
                max_side=max_side,
            )
        )

    async def dicom(
        self,
        file: ImageFile,
        kinds: Sequence[str] = ("seg", "sr"),
        *,
        pixel_spacing_mm: Spacing | None = None,
        gate: bool = True,
        frame: int | None = None,
    ) -> dict[str, DicomFile]:
        """Return DICOM results of a DICOM file, by kind; see `calls.DICOM_KINDS`."""
        return await self._do(
            calls.dicom(
                await _read(file),
                kinds,
                pixel_spacing_mm=pixel_spacing_mm,
                gate=gate,
                frame=frame,
            )
        )

    async def study(
        self,
        files: Iterable[ImageFile],
        *,
        pixel_spacing_mm: Spacing | None = None,
        gate: bool = True,
    ) -> Study:
        """Find lesions in the images of one study, and score it by breast and as a whole."""
        read = [await _read(file) for file in files]
        return await self._do(calls.study(read, pixel_spacing_mm=pixel_spacing_mm, gate=gate))

    async def study_zip(
        self,
        files: Iterable[ImageFile],
        target: str | os.PathLike[str] | Any,
        kinds: Sequence[str] = ("seg", "sr"),
        *,
        pixel_spacing_mm: Spacing | None = None,
        gate: bool = True,
    ) -> Study:
        """Do as `study`, and write its answer, masks and DICOM results into a ZIP."""
        read = [await _read(file) for file in files]
        study = await self.study(read, pixel_spacing_mm=pixel_spacing_mm, gate=gate)
        results = [
            await self.dicom(read[entry.index], kinds, pixel_spacing_mm=pixel_spacing_mm, gate=gate)
            if kinds and entry.result is not None
            else {}
            for entry in study.images
        ]
        await anyio.to_thread.run_sync(calls.write_study_zip, target, study, results)
        return study

    async def model(self) -> ModelDescription:
        """Return which model is in use, its contract, licence and card."""
        return await self._do(calls.model())

    async def is_ready(self) -> bool:
        """Say whether mammograms are taken now; asks once."""
        try:
            return await self._do(calls.ready(), RetryPolicy(tries=1))
        except ClientError:
            return False

    async def close(self) -> None:
        """Close the connections."""
        await self._http.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def _do(self, call: Call[ResultT], retry: RetryPolicy | None = None) -> ResultT:
        attempts, arguments = Attempts(retry or self._retry), call.arguments()
        while True:
            try:
                answer = await self._http.request(
                    call.method, call.path, timeout=time_for(call, self._http.timeout), **arguments
                )
                pause_s = attempts.after(answer)
            except httpx.TransportError as error:
                pause_s = attempts.after_failure(error)
            except (httpx.DecodingError, httpx.TooManyRedirects) as error:
                raise AnswerBroken(f"the answer cannot be read ({type(error).__name__})") from error
            if pause_s is None:
                return call.read(answer)
            await self._sleep(pause_s)


async def _read(file: ImageFile) -> bytes:
    """Read a file on a thread."""
    return await anyio.to_thread.run_sync(read_file, file)
