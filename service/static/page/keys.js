// Keys of a pane that has the focus. Everything they do, a button or a slider does as well.

import {make} from "./elements.js";

const STEP_PX = 60;
const ZOOM = 1.25;

/** [key, what it is called, what it does, how it is told]. */
const KEYS = [
  ["ArrowLeft", "←", (pane) => pane.panBy(STEP_PX, 0), "move"],
  ["ArrowRight", "→", (pane) => pane.panBy(-STEP_PX, 0), "move"],
  ["ArrowUp", "↑", (pane) => pane.panBy(0, STEP_PX), "move"],
  ["ArrowDown", "↓", (pane) => pane.panBy(0, -STEP_PX), "move"],
  ["+", "+", (pane) => pane.zoomBy(ZOOM), "zoom in"],
  ["-", "−", (pane) => pane.zoomBy(1 / ZOOM), "zoom out"],
  ["0", "0", (_, on) => on.command("fit"), "fit"],
  ["1", "1", (_, on) => on.command("one-to-one"), "1:1"],
  ["i", "I", (pane, on) => on.viewing({invert: !pane.viewing.invert}), "invert"],
  ["l", "L", (pane, on) => on.viewing({loupe: !pane.viewing.loupe}), "loupe"],
  ["o", "O", (_, on) => on.command("next-overlay"), "next overlay"],
  ["[", "[", (_, on) => on.command("threshold-down"), "threshold down"],
  ["]", "]", (_, on) => on.command("threshold-up"), "threshold up"],
  [",", ",", (pane, on) => on.viewing({width: Math.max(1, pane.viewing.width - 5)}),
    "narrower window"],
  [".", ".", (pane, on) => on.viewing({width: Math.min(100, pane.viewing.width + 5)}),
    "wider window"],
  ["n", "N", (_, on) => on.command("next-region"), "next region"],
  ["PageDown", "Page ↓", (_, on) => on.command("next-image"), "next image"],
  ["PageUp", "Page ↑", (_, on) => on.command("previous-image"), "previous image"],
  ["Enter", "Enter", (_, on) => on.command("toggle-layout"), "one or four images"],
];

export function onKey(event, pane, on) {
  if (event.ctrlKey || event.metaKey || event.altKey || event.target !== pane.element) return;
  const wanted = event.key === "=" ? "+" : event.key;
  const found = KEYS.find(([key]) => key === wanted || key === wanted.toLowerCase());
  if (found === undefined) return;
  event.preventDefault();
  found[2](pane, on);
}

/** List the keys for people. */
export function keyList() {
  const told = KEYS.filter(([key]) => key !== "ArrowRight" && !/Arrow(Up|Down)/.test(key));
  return make("dl", {}, ...told.flatMap(([key, name, , meaning]) => [
    make("dt", {}, make("kbd", {}, key === "ArrowLeft" ? "← → ↑ ↓" : name)),
    make("dd", {}, meaning),
  ]));
}
