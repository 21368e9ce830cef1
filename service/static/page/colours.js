// Colours of what is laid over an image: the page's one place for them.

/**
 * As in the service's overlay (service/outputs/png.py): one region is told alike on both. To protan,
 * deutan and tritan eyes, too, they differ by 50 of CIEDE2000 and more.
 */
export const MASK = [80, 255, 80];
export const CANDIDATE = [255, 140, 255];

/** Beside both: on dense tissue, which is as light as they are, it is what is seen. */
export const CASING = [0, 0, 0];

/** Let the page's styles know them: as `--mask` and `--candidate`. */
export function tellStyles() {
  for (const [name, colour] of [["--mask", MASK], ["--candidate", CANDIDATE]]) {
    document.documentElement.style.setProperty(name, `rgb(${colour.join(" ")})`);
  }
}

// From dark to bright, so that the order can be told without seeing colour.
const HEAT = [[20, 11, 53], [101, 21, 110], [187, 55, 84], [237, 121, 50], [249, 201, 52],
  [252, 255, 200]];
const ACTIVATION = [[8, 20, 45], [18, 62, 100], [32, 112, 150], [70, 165, 190], [150, 212, 220],
  [235, 252, 255]];

const MOST_OPAQUE = 0.6;

/** Return 256 colours, [red, green, blue, opacity]: transparent at 0; tissue is seen through all. */
function scale(stops) {
  return Array.from({length: 256}, (_, value) => {
    const place = (value / 255) * (stops.length - 1);
    const at = Math.min(stops.length - 2, Math.floor(place));
    const mixed = stops[at].map((low, band) => low + (stops[at + 1][band] - low) * (place - at));
    return [...mixed, Math.min(1, value / 128) * MOST_OPAQUE * 255];
  });
}

export const SCALES = {heatmap: scale(HEAT), activation: scale(ACTIVATION)};

/** A colour as one little-endian value of a canvas's pixels. */
export const packed = ([red, green, blue], opacity = 255) =>
  ((opacity << 24) | (blue << 16) | (green << 8) | red) >>> 0;
