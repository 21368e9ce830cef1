// Where an image stands in its pane: `zoom` in CSS pixels a source pixel, and the source pixel
// (`x`, `y`) that lies at the pane's centre. Pure functions.

export const MIN_ZOOM = 0.02;
export const MAX_ZOOM = 16;

/** Return the placement that shows a box [x, y, width, height] whole, at its side of the pane. */
export function fitted(pane, box, image, side) {
  const [left, top, width, height] = box;
  return aligned(pane, Math.min(pane.width / width, pane.height / height),
    [left + width / 2, top + height / 2], image, side);
}

/** Put the chest wall at the pane's edge: of a right breast to the right, of a left to the left. */
export function aligned(pane, zoom, [x, y], image, side) {
  const half = pane.width / 2 / zoom;
  if (side === "R") return {zoom, x: image.columns - half, y};
  if (side === "L") return {zoom, x: half, y};
  return {zoom, x, y};
}

export const toPane = (pane, {zoom, x, y}, [column, row]) =>
  [(column - x) * zoom + pane.width / 2, (row - y) * zoom + pane.height / 2];

export const toSource = (pane, {zoom, x, y}, [across, down]) =>
  [(across - pane.width / 2) / zoom + x, (down - pane.height / 2) / zoom + y];

/** Zoom by a factor while what lies under a point of the pane stays there. */
export function zoomed(pane, placement, factor, point) {
  const [x, y] = toSource(pane, placement, point);
  const zoom = Math.min(MAX_ZOOM, Math.max(MIN_ZOOM, placement.zoom * factor));
  const ratio = placement.zoom / zoom;
  return {zoom, x: x + (placement.x - x) * ratio, y: y + (placement.y - y) * ratio};
}

/** Move by CSS pixels; some of the image stays in sight. */
export function panned(placement, [across, down], image) {
  const bound = (value, most) => Math.min(most, Math.max(0, value));
  return {
    zoom: placement.zoom,
    x: bound(placement.x - across / placement.zoom, image.columns),
    y: bound(placement.y - down / placement.zoom, image.rows),
  };
}

/**
 * The placement of another image that shows the same place at the same scale: as far from the
 * chest wall and from the top, in millimetres.
 */
export function following(placement, image, other) {
  const ratio = other.mm / image.mm;
  const depth = image.side === "R" ? image.columns - placement.x : placement.x;
  const x = other.side === "R" ? other.columns - depth / ratio : depth / ratio;
  return {zoom: placement.zoom * ratio, x, y: placement.y / ratio};
}
