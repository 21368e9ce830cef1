"""The page's modules by themselves, in the browser that the page is for."""

from collections.abc import Iterator
from typing import Any

import pytest

from tests.e2e.conftest import Service
from tests.e2e.page.conftest import Visit

pytestmark = [pytest.mark.e2e, pytest.mark.slow]


@pytest.fixture(scope="module")
def page(browser: Any, service: Service) -> Iterator[Any]:
    """A page without images: what its modules do is asked for by import."""
    visit = Visit(browser, service)
    yield visit.page
    visit.context.close()
    assert visit.faults == []


FLIPPED = """async () => {
  const posted = [];
  const listeners = [];
  window.Worker = class {
    addEventListener(_, listener) { listeners.push(listener); }
    postMessage(message) { posted.push(message); }
  };
  const {Readings} = await import("/page/readings.js");
  const readings = new Readings();
  readings.next = () => {};
  const result = () => ({mask: {gated: false}, regions: [], image: {rows: 1, columns: 1},
    probability_map: {bbox: [0, 0, 1, 1], minimum_region_pixels: 0}});
  const answered = (reading, name) => Object.assign(reading, {state: "done", result: result(),
    blobs: {image: name, probability: name, activation: name}});
  const files = [...Array(16).keys()].map((at) => ({file: new File([], `${at}.dcm`), group: ""}));
  const all = readings.add(files, {});
  const answer = ({id, image}) => {
    const grid = {width: 1, height: 1, data: Uint16Array.of(0), name: image};
    for (const listener of listeners) listener({data: {id, levels: [grid], maps: [grid, grid]}});
  };
  all.forEach((one, at) => answered(one, `before ${at}`));
  // Through all of them, and to the first again, before the worker has said a word.
  const waits = [...all, all[0]].map((one) => readings.decode(one));
  readings.start(all, {pixel_spacing_mm: "0.09"});
  all.forEach((one, at) => answered(one, `after ${at}`));
  waits.push(...all.slice(0, 12).map((one) => readings.decode(one)));
  for (let turn = 0; turn < 60; turn++) {
    if (posted.length > 0) answer(posted.shift());
    await new Promise((done) => setTimeout(done));
  }
  await Promise.race([Promise.all(waits), new Promise((done) => setTimeout(done, 2000))]);
  const decoded = all.filter((one) => one.decoded !== null);
  return {kept: decoded.length, last: all[11].decoded?.levels[0].name ?? null,
    wrong: decoded.filter((one) => one.decoded.levels[0].name !== one.blobs.image).length};
}"""


def test_pixels_are_those_of_the_answer_beside_them_however_fast_images_are_flipped(
    page: Any,
) -> None:
    assert page.evaluate(FLIPPED) == {"kept": 8, "last": "after 11", "wrong": 0}
