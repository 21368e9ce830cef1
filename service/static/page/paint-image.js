// Paints the displayed pixels through window and level, from the level of the pyramid that the
// screen needs.

const greys = new Uint32Array(65536);
let made = "";

/** Return the colour of each of 65536 values for a window, in percent of the displayed range. */
export function lookup({width, level, invert}) {
  const key = `${width},${level},${invert}`;
  if (key === made) return greys;
  made = key;
  const low = (level - width / 2) / 100;
  const scale = 255 / (width / 100);
  for (let value = 0; value < 65536; value++) {
    const grey = Math.min(255, Math.max(0, Math.round((value / 65535 - low) * scale)));
    const shown = invert ? 255 - grey : grey;
    greys[value] = 0xff000000 | (shown << 16) | (shown << 8) | shown;
  }
  return greys;
}

/**
 * Paint what a canvas shows of an image.
 *
 * @param levels the pyramid
 * @param area {left, top, scale}: the source place at the canvas's corner, and the canvas's own
 *   pixels a source pixel
 * @param scratch a canvas to paint on first
 */
export function paintImage(canvas, levels, area, window, scratch) {
  const context = canvas.getContext("2d", {alpha: false});
  // Beyond the image it stays dark, inverted or not.
  context.fillStyle = "#000";
  context.fillRect(0, 0, canvas.width, canvas.height);
  const depth = Math.floor(-Math.log2(area.scale) + 1e-9);
  const level = Math.min(levels.length - 1, Math.max(0, depth));
  const step = 2 ** level;
  const image = levels[level];
  const part = partOf(image, canvas, area, step);
  if (part.width <= 0 || part.height <= 0) return;
  windowed(image, part, lookup(window), scratch);
  const scale = area.scale * step;
  context.imageSmoothingEnabled = area.scale < 4;
  context.drawImage(scratch, 0, 0, part.width, part.height,
    (part.x - area.left / step) * scale, (part.y - area.top / step) * scale,
    part.width * scale, part.height * scale);
}

/** The rectangle of a level that a canvas shows, with a pixel around it. */
function partOf(image, canvas, {left, top, scale}, step) {
  const x = Math.max(0, Math.floor(left / step) - 1);
  const y = Math.max(0, Math.floor(top / step) - 1);
  const right = Math.min(image.width, Math.ceil((left + canvas.width / scale) / step) + 1);
  const bottom = Math.min(image.height, Math.ceil((top + canvas.height / scale) / step) + 1);
  return {x, y, width: right - x, height: bottom - y};
}

function windowed(image, {x, y, width, height}, colours, scratch) {
  if (scratch.width < width || scratch.height < height) {
    scratch.width = Math.max(scratch.width, width);
    scratch.height = Math.max(scratch.height, height);
  }
  const context = scratch.getContext("2d", {alpha: false});
  const painted = new ImageData(width, height);
  const pixels = new Uint32Array(painted.data.buffer);
  for (let row = 0, at = 0; row < height; row++) {
    let from = (y + row) * image.width + x;
    for (let column = 0; column < width; column++) pixels[at++] = colours[image.data[from++]];
  }
  context.putImageData(painted, 0, 0);
}
