// An image and its halves: what is drawn small is a mean, so that no calcification falls between
// two pixels of the screen.

const SMALLEST = 400;

/** Return the levels, the image itself first: [{width, height, data: Uint16Array}]. */
export function pyramid(image) {
  const levels = [image];
  for (let last = image; Math.max(last.width, last.height) > SMALLEST;) {
    last = half(last);
    levels.push(last);
  }
  return levels;
}

function half({width, height, data}) {
  const columns = (width + 1) >> 1;
  const rows = (height + 1) >> 1;
  const made = new Uint16Array(columns * rows);
  for (let y = 0; y < rows; y++) {
    const upper = 2 * y * width;
    const lower = 2 * y + 1 < height ? upper + width : upper;
    for (let x = 0; x < columns; x++) {
      const left = 2 * x;
      const right = left + 1 < width ? left + 1 : left;
      made[y * columns + x] = (data[upper + left] + data[upper + right] + data[lower + left]
        + data[lower + right] + 2) >> 2;
    }
  }
  return {width: columns, height: rows, data: made};
}
