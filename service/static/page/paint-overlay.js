// Paints what was found, on a canvas of its own above the image's.

import {CANDIDATE, CASING, MASK, SCALES, packed} from "./colours.js";

/** A candidate is told from the mask without seeing colour, too. */
const OUTLINE_PX = {mask: 2, candidate: 1};

/**
 * Paint the overlay.
 *
 * @param kind none, outline, fill, heatmap or activation
 * @param area see `paintImage`
 * @param found {map, cut, heat}: `cut.held` says of each region whether the service's mask holds
 *   it, `heat` are the canvases of `heatOf`
 */
export function paintOverlay(canvas, kind, area, {map, cut, heat}) {
  const context = canvas.getContext("2d");
  context.clearRect(0, 0, canvas.width, canvas.height);
  if (kind === "none") return;
  const pixel = Math.max(1, Math.round(window.devicePixelRatio));
  if (kind in heat) {
    context.imageSmoothingEnabled = true;
    context.drawImage(heat[kind], (map.left - area.left) * area.scale,
      (map.top - area.top) * area.scale, map.columns * area.scale, map.rows * area.scale);
  }
  const box = boxOf(canvas, area, cut.regions, OUTLINE_PX.mask * pixel + 1);
  if (box.width <= 0 || box.height <= 0) return;
  const numbers = drawn(box, area, map, cut);
  const colours = cut.held.map((held) => packed(held ? MASK : CANDIDATE));
  const widths = cut.held.map((held) => pixel * (held ? OUTLINE_PX.mask : OUTLINE_PX.candidate));
  const painted = kind === "fill" ? filled(numbers, box, colours, pixel)
    : outlined(numbers, box, colours, widths, pixel);
  put(context, painted, box, kind in heat);
}

/** A map as a small canvas in colours, to be stretched over its box. */
export function heatOf(kind, grid) {
  const canvas = document.createElement("canvas");
  canvas.width = grid.width;
  canvas.height = grid.height;
  const image = new ImageData(grid.width, grid.height);
  grid.data.forEach((value, index) => image.data.set(SCALES[kind][value >> 8], 4 * index));
  canvas.getContext("2d").putImageData(image, 0, 0);
  return canvas;
}

/** The part of the canvas that all regions lie in, with room for outlines. */
function boxOf(canvas, {left, top, scale}, regions, margin) {
  let [x, y, right, bottom] = [canvas.width, canvas.height, 0, 0];
  for (const {bbox} of regions) {
    x = Math.min(x, Math.floor((bbox[0] - left) * scale) - margin);
    y = Math.min(y, Math.floor((bbox[1] - top) * scale) - margin);
    right = Math.max(right, Math.ceil((bbox[0] + bbox[2] - left) * scale) + margin);
    bottom = Math.max(bottom, Math.ceil((bbox[1] + bbox[3] - top) * scale) + margin);
  }
  [x, y] = [Math.max(0, x), Math.max(0, y)];
  return {x, y, width: Math.min(canvas.width, right) - x, height: Math.min(canvas.height, bottom) - y};
}

/** Of each canvas pixel of a box, the number of the region at its centre, from 1 on; 0 for none. */
function drawn(box, {left, top, scale}, map, {runs, rowStarts}) {
  const numbers = new Uint16Array(box.width * box.height);
  const across = (column) => Math.ceil((map.left + column - left) * scale - 0.5) - box.x;
  for (let y = 0; y < box.height; y++) {
    const row = Math.floor((box.y + y + 0.5) / scale + top) - map.top;
    if (row < 0 || row >= map.rows) continue;
    for (let at = rowStarts[row]; at < rowStarts[row + 1]; at++) {
      const start = Math.max(0, across(runs[4 * at + 1]));
      const end = Math.min(box.width, across(runs[4 * at + 2]));
      if (start < end) numbers.fill(runs[4 * at + 3] + 1, y * box.width + start, y * box.width + end);
    }
  }
  return numbers;
}

const CASED = packed(CASING);

/** All of a region in its colour, within a dark rim. */
function filled(numbers, box, colours, rim) {
  const pixels = new Uint32Array(numbers.length);
  eachPixel(numbers, box, (at, own, isWithin) => {
    pixels[at] = isWithin(rim) ? colours[own - 1] : CASED;
  });
  return pixels;
}

/** Of each region its own outermost pixels, as many deep as `widths` says, and dark ones behind. */
function outlined(numbers, box, colours, widths, rim) {
  const pixels = new Uint32Array(numbers.length);
  eachPixel(numbers, box, (at, own, isWithin) => {
    const width = widths[own - 1];
    if (!isWithin(width)) pixels[at] = colours[own - 1];
    else if (!isWithin(width + rim)) pixels[at] = CASED;
  });
  return pixels;
}

/**
 * Call with each pixel of a region: its place, its region's number, and whether it lies deeper in that
 * than a width. What lies at the canvas's edge counts as deep: the region goes on beyond.
 */
function eachPixel(numbers, {width: columns, height: rows}, paint) {
  let [at, x, y, own] = [0, 0, 0, 0];
  const isWithin = (width) => x < width || y < width || x >= columns - width || y >= rows - width
    || (numbers[at - width] === own && numbers[at + width] === own
      && numbers[at - width * columns] === own && numbers[at + width * columns] === own);
  for (y = 0; y < rows; y++) {
    for (x = 0; x < columns; x++, at++) {
      own = numbers[at];
      if (own > 0) paint(at, own, isWithin);
    }
  }
}

function put(context, pixels, box, above) {
  const image = new ImageData(new Uint8ClampedArray(pixels.buffer), box.width, box.height);
  if (!above) {
    context.putImageData(image, box.x, box.y);
    return;
  }
  const scratch = document.createElement("canvas");
  scratch.width = box.width;
  scratch.height = box.height;
  scratch.getContext("2d").putImageData(image, 0, 0);
  context.drawImage(scratch, box.x, box.y);
}
