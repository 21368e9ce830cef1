// The service's own mask, and what of a cut it holds.

/**
 * Lay out a mask over the columns and rows that it needs.
 *
 * @param mask COCO's uncompressed RLE: `size` is [rows, columns], `counts` run lengths,
 *   column-major, zeros first
 * @returns {left, top, columns, rows, pixels}: `pixels` 1 where the mask is, row by row
 */
export function serviceMask({size: [height], counts}) {
  const runs = runsOf(counts, height);
  if (runs.length === 0) return {left: 0, top: 0, columns: 0, rows: 0, pixels: new Uint8Array(0)};
  const left = runs[0].column;
  const columns = runs.at(-1).column + 1 - left;
  const top = runs.reduce((least, {start}) => Math.min(least, start), height);
  const rows = runs.reduce((most, {end}) => Math.max(most, end), 0) - top;
  const pixels = new Uint8Array(columns * rows);
  for (const {column, start, end} of runs) {
    for (let row = start; row < end; row++) pixels[(row - top) * columns + column - left] = 1;
  }
  return {left, top, columns, rows, pixels};
}

/** The runs of ones, each within one column. */
function runsOf(counts, height) {
  const runs = [];
  let at = 0;
  counts.forEach((count, index) => {
    for (let end = at + count; index % 2 === 1 && at < end;) {
      const column = Math.floor(at / height);
      const start = at % height;
      const length = Math.min(end - at, height - start);
      runs.push({column, start, end: start + length});
      at += length;
    }
    if (index % 2 === 0) at += count;
  });
  return runs;
}

/**
 * Return of each region of a cut whether it has a pixel in the mask.
 *
 * @param map where the cut's runs lie, see lesion-map.js
 */
export function heldBy({left, top, columns, rows, pixels}, map, {runs, regions}) {
  const held = regions.map(() => false);
  for (let at = 0; at < runs.length; at += 4) {
    const row = map.top + runs[at] - top;
    if (held[runs[at + 3]] || row < 0 || row >= rows) continue;
    const start = Math.max(0, map.left + runs[at + 1] - left);
    const end = Math.min(columns, map.left + runs[at + 2] - left);
    if (start < end && pixels.subarray(row * columns + start, row * columns + end).includes(1)) {
      held[runs[at + 3]] = true;
    }
  }
  return held;
}
