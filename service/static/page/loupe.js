// A round glass that shows one source pixel on one pixel of the screen, without an overlay.

import {layOnto} from "./device-pixels.js";
import {make} from "./elements.js";
import {paintImage} from "./paint-image.js";
import {toSource} from "./placement.js";

const SIDE = 260;

export class Loupe {
  constructor(host) {
    this.host = host;
    this.scratch = document.createElement("canvas");
    this.canvas = make("canvas", {class: "loupe", "aria-hidden": "true", hidden: true});
    host.append(this.canvas);
  }

  /** Keep no pixel of what is not shown. */
  blank() {
    for (const canvas of [this.canvas, this.scratch]) canvas.width = canvas.height = 0;
  }

  /** Show what lies under a point of a pane; nothing for null. */
  show(point, {screen, size, reading, placement} = {}, window_ = null) {
    this.canvas.hidden = point === null;
    if (point === null) return;
    const {ratio} = screen;
    const side = Math.round(SIDE * ratio);
    const [x, y] = toSource(size, placement, point);
    const [left, top] = point.map((middle) => Math.round(middle * ratio - side / 2) / ratio);
    layOnto(this.canvas, {left: screen.left + left, top: screen.top + top, width: side, height: side,
      ratio});
    const area = {scale: 1, left: Math.round(x - side / 2), top: Math.round(y - side / 2)};
    paintImage(this.canvas, reading.decoded.levels, area, window_, this.scratch);
  }
}
