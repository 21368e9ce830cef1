"""The page's modules by themselves, in the browser that the page is for."""

import base64
from collections.abc import Iterator
from typing import Any

import cv2
import numpy as np
import pytest

from service.api.studies import MAX_IMAGES
from service.outputs.png import OUTLINE_CANDIDATE, OUTLINE_SELECTED
from service.outputs.rle import coco_rle
from tests.dicom_files import dicom_file, phantom
from tests.e2e.conftest import Service
from tests.e2e.page.conftest import Visit

pytestmark = [pytest.mark.e2e, pytest.mark.slow]


@pytest.fixture(scope="module")
def page(shared: Any, service: Service) -> Iterator[Any]:
    """A page without images: what its modules do is asked for by import."""
    visit = Visit(shared, service)
    yield visit.page
    visit.page.close()
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
  const result = () => ({mask: {size: [1, 1], counts: [1]}, image: {rows: 1, columns: 1},
    probability_map: {bbox: [0, 0, 1, 1], minimum_region_pixels: 0}});
  const answered = (reading, name) => Object.assign(reading, {state: "done", result: result(),
    pictures: {image: Object.assign(new Uint8Array(1), {named: name})}});
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
  return {kept: decoded.length, last: all[11].decoded?.levels[0].name.named ?? null,
    wrong: decoded.filter((one) => one.decoded.levels[0].name !== one.pictures.image).length};
}"""


def test_pixels_are_those_of_the_answer_beside_them_however_fast_images_are_flipped(
    page: Any,
) -> None:
    assert page.evaluate(FLIPPED) == {"kept": 6, "last": "after 11", "wrong": 0}


KEPT = """async () => {
  const {Readings} = await import("/page/readings.js");
  const readings = new Readings();
  readings.next = () => {};
  const files = [...Array(12).keys()].map((at) => ({file: new File([], `${at}.dcm`), group: ""}));
  const all = readings.add(files, {});
  for (const one of all) one.pictures = {image: {buffer: {byteLength: 20 * 2 ** 20}}};
  readings.shown = [all[4]];
  readings.letPicturesGo();
  return all.flatMap((one, at) => (one.pictures === null ? [] : [at]));
}"""


def test_of_many_images_the_pictures_near_what_is_shown_are_kept_and_no_others(page: Any) -> None:
    kept = page.evaluate(KEPT)
    assert len(kept) == 6 and set(kept) > {2, 3, 4, 5, 6}


BESIDE = """async () => {
  const {Readings} = await import("/page/readings.js");
  const readings = new Readings();
  readings.next = () => {};
  const files = [...Array(12).keys()].map((at) => ({file: new File([], `${at}.dcm`), group: ""}));
  const [asked, stopped] = [[], []];
  const all = readings.add(files, {});
  all.forEach((one, at) => Object.assign(one, {
    state: "done",
    ask: async () => {
      asked.push(at);
      // Of one the answer is long in coming.
      if (at === 7) await new Promise(() => {});
      one.pictures = {image: {buffer: {byteLength: 2 ** 20}}};
    },
    decode: async () => { one.pictures = {image: {buffer: {byteLength: 2 ** 20}}}; },
    stopAsking: () => stopped.push(at),
  }));
  const turn = () => new Promise((done) => setTimeout(done));
  const after = [];
  for (const at of [3, 5, 6, 0]) {
    await readings.decode(all[at]);
    await turn();
    after.push([asked.splice(0), stopped.splice(0)]);
  }
  all[11].state = "waiting";
  await readings.decode(all[10]);
  await turn();
  return [...after, [asked, stopped]];
}"""


def test_pictures_beside_the_image_that_is_shown_are_asked_for_once_all_is_read(page: Any) -> None:
    assert page.evaluate(BESIDE) == [
        [[4, 5, 2], []],
        [[6, 7], []],
        # It is awaited still, and nothing is asked for beside it.
        [[7], []],
        [[1, 2], [7]],
        [[], []],
    ]


AGAIN = """async (text) => {
  const {Models} = await import("/page/models.js");
  const {Readings} = await import("/page/readings.js");
  const readings = new Readings(new Models());
  const bytes = Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
  const [reading] = readings.add([{file: new File([bytes], "a.dcm"), group: {name: ""}}], {});
  while (!reading.isEnded) await new Promise((done) => setTimeout(done, 50));
  await readings.decode(reading);
  const before = reading.decoded.levels[0];
  reading.letGo();
  reading.pictures = null;
  await readings.decode(reading);
  const after = reading.decoded.levels[0];
  return [reading.state, before !== after, before.data.length,
    before.data.every((value, at) => value === after.data[at])];
}"""


@pytest.mark.long
def test_pictures_that_were_let_go_are_asked_for_again_when_they_are_shown(visit: Visit) -> None:
    text = base64.b64encode(dicom_file(phantom(12), ImagerPixelSpacing=[1, 1])).decode("ascii")
    state, is_another, pixels, are_alike = visit.page.evaluate(AGAIN, text)
    assert (state, is_another, are_alike) == ("done", True, True) and pixels > 1000


def test_a_zip_that_would_be_broken_is_refused(page: Any) -> None:
    told = page.evaluate(
        """async () => {
          const {Zip} = await import("/page/zip.js");
          const fill = (count, size) => {
            const zip = new Zip();
            zip.size = size;
            try {
              for (let at = 0; at < count; at++) zip.add(`${at}`, new Uint8Array(100));
            } catch (error) {
              return [error.name, zip.count];
            }
            return ["", zip.count];
          };
          return [fill(65_536, 0), fill(3, 2 ** 32 - 400), fill(2, 2 ** 32 - 400)];
        }"""
    )
    # Two files of 100 bytes take 356 with their two entries each and its name.
    assert told == [["RangeError", 65_535], ["RangeError", 2], ["", 2]]


def test_the_page_knows_how_many_images_the_service_scores_as_one_study(page: Any) -> None:
    known = page.evaluate(
        "async () => (await import('/page/service.js')).MAX_STUDY_IMAGES"
    )  # fmt: skip
    assert known == MAX_IMAGES


HELD = """async ([mask, width, data, bbox, thresholds]) => {
  const {cut, lesionMap} = await import("/page/lesion-map.js");
  const {heldBy, serviceMask} = await import("/page/service-mask.js");
  const grid = {width, height: data.length / width, data: Uint16Array.from(data)};
  const map = lesionMap(grid, bbox);
  return thresholds.map((threshold) => {
    const found = cut(map, threshold, 0);
    const held = heldBy(serviceMask(mask), map, found);
    return found.regions.map(({area}, at) => [area, held[at]]);
  });
}"""


def test_a_region_is_called_mask_where_the_services_mask_holds_some_of_it_and_only_there(
    page: Any,
) -> None:
    random = np.random.default_rng(6)
    noise = cv2.GaussianBlur(random.random((60, 44)), (0, 0), 2.0)
    levels = np.rint(cv2.normalize(noise, None, 0, 65535, cv2.NORM_MINMAX)).astype(np.uint16)
    left, top = 7, 5
    _, labels, stats, _ = cv2.connectedComponentsWithStats((levels >= 0.7 * 65535).astype(np.uint8))
    # Pieces of their own lie in the box of a selected one: the largest alone is the mask.
    chosen = labels == 1 + np.argmax(stats[1:, cv2.CC_STAT_AREA])
    mask = np.zeros((80, 60), np.bool_)
    mask[top : top + 60, left : left + 44] = chosen
    thresholds = [0.3, 0.5, 0.7, 0.8]
    counts = coco_rle(mask, (0, 60))
    told = page.evaluate(HELD, [
        {"size": [80, 60], "counts": counts}, 44, levels.ravel().tolist(), [left, top, 44, 60],
        thresholds,
    ])  # fmt: skip
    for threshold, regions in zip(thresholds, told, strict=True):
        reaching = (levels >= threshold * 65535).astype(np.uint8)
        count, labels, stats, _ = cv2.connectedComponentsWithStats(reaching)
        expected = [
            [int(stats[piece, cv2.CC_STAT_AREA]), bool(chosen[labels == piece].any())]
            for piece in range(1, count)
        ]
        assert sorted(regions) == sorted(expected)
    empty = page.evaluate(HELD, [
        {"size": [80, 60], "counts": [4800]}, 44, levels.ravel().tolist(), [left, top, 44, 60],
        [0.5],
    ])  # fmt: skip
    assert empty[0] and not any(held for _, held in empty[0])


def test_the_page_and_the_overlay_that_it_saves_have_the_same_colours(page: Any) -> None:
    told = page.evaluate(
        """async () => {
          const {MASK, CANDIDATE} = await import("/page/colours.js");
          const style = getComputedStyle(document.documentElement);
          return [MASK, CANDIDATE, ...["--mask", "--candidate"].map((one) =>
            style.getPropertyValue(one))];
        }"""
    )
    for told_here, told_by_styles, outline in zip(
        told[:2], told[2:], (OUTLINE_SELECTED, OUTLINE_CANDIDATE), strict=True
    ):
        assert told_here == list(outline[::-1])
        assert told_by_styles == f"rgb({' '.join(str(band) for band in told_here)})"
