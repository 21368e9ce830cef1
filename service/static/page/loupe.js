// A round glass that shows one source pixel on one pixel of the screen, without an overlay.

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

  /** Show what lies under a point of the pane; nothing for null. */
  show(point, reading, placement, window_) {
    this.canvas.hidden = point === null;
    if (point === null) return;
    const side = Math.round(SIDE * window.devicePixelRatio);
    if (this.canvas.width !== side) this.canvas.width = this.canvas.height = side;
    const size = {width: this.host.clientWidth, height: this.host.clientHeight};
    const [x, y] = toSource(size, placement, point);
    this.canvas.style.left = `${point[0] - SIDE / 2}px`;
    this.canvas.style.top = `${point[1] - SIDE / 2}px`;
    const area = {scale: 1, left: Math.round(x - side / 2), top: Math.round(y - side / 2)};
    paintImage(this.canvas, reading.decoded.levels, area, window_, this.scratch);
  }
}
