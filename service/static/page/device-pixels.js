// Canvases on whole pixels of the screen. At a ratio of 1.25, as of Windows' scaling or the browser's
// zoom, an element begins and ends between two of them, and a canvas that fills it is smeared.

/**
 * Return the whole pixels of the screen that an element takes.
 *
 * @returns {left, top, width, height, ratio}: how far they begin from its corner, in CSS pixels; how
 *   many they are; and how many make one CSS pixel
 */
export function devicePixels(element) {
  const ratio = window.devicePixelRatio;
  const box = element.getBoundingClientRect();
  const [left, top, right, bottom] = [box.left, box.top, box.right, box.bottom]
    .map((edge) => Math.round(edge * ratio));
  return {left: left / ratio - box.left, top: top / ratio - box.top, width: right - left,
    height: bottom - top, ratio};
}

/** Lay a canvas onto some of them, `left`, `top`, `width` and `height` as above. */
export function layOnto(canvas, {left, top, width, height, ratio}) {
  // To set a size clears the canvas, even to what it was.
  if (canvas.width !== width) canvas.width = width;
  if (canvas.height !== height) canvas.height = height;
  Object.assign(canvas.style, {left: `${left}px`, top: `${top}px`, width: `${width / ratio}px`,
    height: `${height / ratio}px`});
}

/** Tell when an element's size changes, or the screen's pixels: by another screen or the zoom. */
export function watchDevicePixels(element, onChange) {
  new ResizeObserver(onChange).observe(element);
  const watchRatio = () => {
    matchMedia(`(resolution: ${window.devicePixelRatio}dppx)`).addEventListener("change", () => {
      watchRatio();
      onChange();
    }, {once: true});
  };
  watchRatio();
}
