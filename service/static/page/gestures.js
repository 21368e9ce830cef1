// Mouse, pen and touch on a pane -> what is meant by it.

const WHEEL = 0.0015;

/**
 * Listen on an element.
 *
 * @param tool called for each drag: "window" or "pan"
 * @param on {window(dx, dy), pan(dx, dy), zoom(factor, point), hover(point or null), activate()}
 */
export function listen(element, tool, on) {
  const pointers = new Map();
  let dragging = "pan";
  const place = (event) => {
    const box = element.getBoundingClientRect();
    return [event.clientX - box.left, event.clientY - box.top];
  };

  element.addEventListener("pointerdown", (event) => {
    if (event.target.closest("button")) return;
    on.activate();
    element.setPointerCapture(event.pointerId);
    pointers.set(event.pointerId, place(event));
    // The other buttons do what the first does not.
    const other = event.button > 0 || event.shiftKey;
    dragging = (tool() === "window") !== other ? "window" : "pan";
  });
  element.addEventListener("pointermove", (event) => {
    const now = place(event);
    on.hover(event.pointerType === "touch" && pointers.size !== 1 ? null : now);
    const before = pointers.get(event.pointerId);
    if (before === undefined) return;
    const [dx, dy] = [now[0] - before[0], now[1] - before[1]];
    if (pointers.size === 1) on[dragging](dx, dy);
    else pinch(pointers, event.pointerId, now, on);
    pointers.set(event.pointerId, now);
  });
  for (const name of ["pointerup", "pointercancel", "lostpointercapture"]) {
    element.addEventListener(name, (event) => pointers.delete(event.pointerId));
  }
  element.addEventListener("pointerleave", () => on.hover(null));
  element.addEventListener("wheel", (event) => {
    event.preventDefault();
    const lines = event.deltaMode === 1 ? 16 : 1;
    on.zoom(Math.exp(-event.deltaY * lines * WHEEL), place(event));
  }, {passive: false});
  element.addEventListener("contextmenu", (event) => event.preventDefault());
}

/** Two fingers: what lies between them stays between them. */
function pinch(pointers, moved, now, on) {
  const [otherId] = [...pointers.keys()].filter((id) => id !== moved);
  const other = pointers.get(otherId);
  const before = pointers.get(moved);
  const span = (point) => Math.max(1, Math.hypot(point[0] - other[0], point[1] - other[1]));
  const middle = [(now[0] + other[0]) / 2, (now[1] + other[1]) / 2];
  on.pan((now[0] - before[0]) / 2, (now[1] - before[1]) / 2);
  on.zoom(span(now) / span(before), middle);
}
