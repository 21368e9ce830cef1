// A probability map cut at a threshold: the source's pixels that reach it, as runs, and their
// regions. The same rules as the service's own: bilinear between the map's values, pieces that touch
// at a corner are one, and what is smaller than the model's smallest region is left out.

/**
 * Lay out a map over its box of the source.
 *
 * @param grid {width, height, data: Uint16Array}, 65535 for 1
 * @param bbox [x, y, width, height] in source pixels
 */
export function lesionMap(grid, bbox) {
  const [left, top, columns, rows] = bbox;
  return {
    ...grid, left, top, columns, rows,
    across: axis(columns, grid.width),
    down: axis(rows, grid.height),
  };
}

/** Of each source pixel, the value before it and how far it lies towards the next. */
function axis(pixels, values) {
  const before = new Int32Array(pixels);
  const share = new Float64Array(pixels);
  for (let at = 0; at < pixels; at++) {
    const place = Math.min(values - 1, Math.max(0, ((at + 0.5) * values) / pixels - 0.5));
    before[at] = Math.min(Math.floor(place), Math.max(0, values - 2));
    share[at] = place - before[at];
  }
  return {before, share};
}

/**
 * Cut a map.
 *
 * @param threshold in [0, 1]
 * @param minimum smallest area of a region, in source pixels
 * @returns {runs, rowStarts, regions, area}: `runs` holds row, first column, end column and region
 *   number of each run; those of source row `top + r` are rowStarts[r] to rowStarts[r + 1].
 */
export function cut(map, threshold, minimum) {
  const found = findRuns(map, threshold * 65535);
  const regions = join(found);
  return keep(map, found, regions, minimum);
}

function findRuns(map, level) {
  const runs = [];
  const extents = extentsOf(map, level);
  const line = new Float64Array(map.width + 1);
  for (let row = 0; row < map.rows; row++) {
    const above = map.down.before[row];
    const below = Math.min(above + 1, map.height - 1);
    const first = Math.min(extents[2 * above], extents[2 * below]);
    const end = Math.max(extents[2 * above + 1], extents[2 * below + 1]);
    if (first >= end) continue;
    mix(map, line, above, below, map.down.share[row], first, end);
    trace(map, line, level, row, first, end, runs);
  }
  return runs;
}

/** Of each row of the map, the first and the end column that may hold what reaches the level. */
function extentsOf({width, height, data}, level) {
  const extents = new Int32Array(2 * height);
  for (let y = 0; y < height; y++) {
    let first = width;
    let end = 0;
    for (let x = 0; x < width; x++) {
      if (data[y * width + x] < level) continue;
      if (first === width) first = x;
      end = x + 1;
    }
    extents[2 * y] = Math.max(0, first - 1);
    extents[2 * y + 1] = end === 0 ? 0 : Math.min(width, end + 1);
  }
  return extents;
}

function mix({width, data}, line, above, below, share, first, end) {
  for (let x = first; x < end; x++) {
    const upper = data[above * width + x];
    line[x] = upper + (data[below * width + x] - upper) * share;
  }
  line[end] = line[end - 1];
}

function trace(map, line, level, row, first, end, runs) {
  const {before, share} = map.across;
  const from = Math.max(0, Math.floor(((first - 0.5) * map.columns) / map.width));
  const to = Math.min(map.columns, Math.ceil(((end + 0.5) * map.columns) / map.width));
  let run = null;
  for (let column = from; column < to; column++) {
    const at = before[column];
    const inside = at >= first && at < end;
    const value = inside ? line[at] + (line[at + 1] - line[at]) * share[column] : 0;
    if (value < level) {
      run = null;
      continue;
    }
    if (run === null) {
      run = {row, start: column, end: column, peak: 0, peakAt: column, sum: 0};
      runs.push(run);
    }
    run.end = column + 1;
    run.sum += value;
    if (value > run.peak) {
      run.peak = value;
      run.peakAt = column;
    }
  }
}

/** Number the runs so that those that touch, corners included, have one number: union and find. */
function join(runs) {
  const parent = runs.map((_, index) => index);
  const root = (index) => {
    while (parent[index] !== index) index = parent[index] = parent[parent[index]];
    return index;
  };
  let begin = 0;
  for (let at = 0; at < runs.length; at++) {
    const run = runs[at];
    while (begin < at && (runs[begin].row < run.row - 1
      || (runs[begin].row === run.row - 1 && runs[begin].end < run.start))) begin++;
    for (let other = begin; other < at && runs[other].row === run.row - 1; other++) {
      if (runs[other].start > run.end) break;
      if (runs[other].end >= run.start) parent[root(other)] = root(at);
    }
  }
  return runs.map((_, index) => root(index));
}

function keep(map, runs, roots, minimum) {
  const pieces = new Map();
  runs.forEach((run, index) => {
    if (!pieces.has(roots[index])) pieces.set(roots[index], newPiece());
    add(pieces.get(roots[index]), run);
  });
  const kept = [...pieces.entries()].filter(([, piece]) => piece.area >= minimum);
  kept.sort(([, one], [, other]) => other.peak - one.peak);
  const numbers = new Map(kept.map(([which], index) => [which, index]));
  const regions = kept.map(([, piece]) => regionOf(map, piece));
  const rowStarts = new Int32Array(map.rows + 1);
  const packed = [];
  runs.forEach((run, index) => {
    const number = numbers.get(roots[index]);
    if (number === undefined) return;
    packed.push(run.row, run.start, run.end, number);
    rowStarts[run.row + 1]++;
  });
  for (let row = 0; row < map.rows; row++) rowStarts[row + 1] += rowStarts[row];
  const area = regions.reduce((sum, region) => sum + region.area, 0);
  return {runs: Int32Array.from(packed), rowStarts, regions, area};
}

function newPiece() {
  return {area: 0, peak: -1, sum: 0, x: 0, y: 0, left: Infinity, right: 0, top: Infinity,
    bottom: 0, peakX: 0, peakY: 0};
}

function add(piece, {row, start, end, peak, peakAt, sum}) {
  const length = end - start;
  piece.area += length;
  piece.sum += sum;
  piece.x += (length * (start + end - 1)) / 2;
  piece.y += length * row;
  piece.left = Math.min(piece.left, start);
  piece.right = Math.max(piece.right, end);
  piece.top = Math.min(piece.top, row);
  piece.bottom = Math.max(piece.bottom, row + 1);
  if (peak > piece.peak) Object.assign(piece, {peak, peakX: peakAt, peakY: row});
}

/** What the page tells of a region; x = column, y = row of the source. */
function regionOf(map, piece) {
  return {
    area: piece.area,
    maximum: piece.peak / 65535,
    mean: piece.sum / piece.area / 65535,
    centroid: [map.left + piece.x / piece.area, map.top + piece.y / piece.area],
    peak: [map.left + piece.peakX, map.top + piece.peakY],
    bbox: [map.left + piece.left, map.top + piece.top, piece.right - piece.left,
      piece.bottom - piece.top],
  };
}
