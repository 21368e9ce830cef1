"""What stands on the page's canvases, as arrays."""

import base64
from dataclasses import dataclass
from typing import Any

import cv2
import httpx
import numpy as np
from numpy.typing import NDArray

READ = """(canvas) => {
  const {width, height} = canvas;
  const {data} = canvas.getContext("2d").getImageData(0, 0, width, height);
  let text = "";
  for (let at = 0; at < data.length; at += 32768) {
    text += String.fromCharCode(...data.subarray(at, at + 32768));
  }
  return [width, height, btoa(text)];
}"""


def canvas_pixels(page: Any, kind: str, pane: int = 0) -> NDArray[np.uint8]:
    """Return a pane's canvas, `image` or `overlay`: uint8, shape (rows, columns, 4), RGBA."""
    width, height, text = page.locator(f".pane canvas.{kind}").nth(pane).evaluate(READ)
    return np.frombuffer(base64.b64decode(text), np.uint8).reshape(height, width, 4)


@dataclass(frozen=True)
class Area:
    """Where the canvas lies in the source: its corner, and canvas pixels a source pixel."""

    left: float
    top: float
    scale: float


def area_of(page: Any, pane: int = 0) -> Area:
    told = page.locator(".pane").nth(pane).evaluate("(pane) => ({...pane.dataset})")
    return Area(float(told["left"]), float(told["top"]), float(told["scale"]))


def seen(source: NDArray[Any], area: Area, shape: tuple[int, int]) -> NDArray[Any]:
    """Return what a canvas of `shape` should show of an array on the source's grid, 0 beyond it."""
    rows = np.floor((np.arange(shape[0]) + 0.5) / area.scale + area.top).astype(int)
    columns = np.floor((np.arange(shape[1]) + 0.5) / area.scale + area.left).astype(int)
    inside = ((rows >= 0) & (rows < source.shape[0]))[:, None] & (
        (columns >= 0) & (columns < source.shape[1])
    )
    rows, columns = rows.clip(0, source.shape[0] - 1), columns.clip(0, source.shape[1] - 1)
    return np.where(inside, source[np.ix_(rows, columns)], 0)


def asked(url: str, body: bytes, output: str, **query: Any) -> NDArray[Any]:
    """Ask the service itself for a picture."""
    answer = httpx.post(
        f"{url}/v1/segment",
        params={"output": output, **query},
        content=body,
        headers={"Content-Type": "application/dicom"},
        timeout=120.0,
    )
    decoded = cv2.imdecode(
        np.frombuffer(answer.raise_for_status().content, np.uint8), cv2.IMREAD_UNCHANGED
    )
    return np.asarray(decoded)
