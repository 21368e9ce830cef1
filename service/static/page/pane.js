// One pane: an image, what was found laid over it, and its labels.

import {devicePixels, layOnto, watchDevicePixels} from "./device-pixels.js";
import {button, make} from "./elements.js";
import {listen} from "./gestures.js";
import {onKey} from "./keys.js";
import {Loupe} from "./loupe.js";
import {paintImage} from "./paint-image.js";
import {paintOverlay} from "./paint-overlay.js";
import {fitted, panned, toPane, zoomed} from "./placement.js";

const MAX_MARKS = 20;
const MARK_PX = 26;

export class Pane {
  /**
   * @param viewing the page's viewing settings, see main.js
   * @param on {activate(pane), moved(pane), first(pane), viewing(changes), command(name),
   *   again(reading)}
   */
  constructor(viewing, on) {
    this.viewing = viewing;
    this.on = on;
    this.reading = null;
    this.expected = "";
    this.placement = null;
    this.screen = {left: 0, top: 0, width: 0, height: 0, ratio: 1};
    this.frame = 0;
    this.scratch = document.createElement("canvas");
    this.build();
    this.loupe = new Loupe(this.element);
    this.watch();
  }

  build() {
    this.image = make("canvas", {class: "image", "aria-hidden": "true"});
    this.overlay = make("canvas", {class: "overlay", "aria-hidden": "true"});
    this.markers = make("div", {class: "markers"});
    this.label = make("p", {class: "label"});
    this.state = make("p", {class: "state"});
    this.noteText = make("span");
    this.again = button("", () => {
      // The button goes, and the focus is to stay here.
      this.element.focus();
      this.on.again(this.reading);
    });
    this.note = make("p", {class: "note"}, this.noteText, this.again);
    this.element = make("div", {class: "pane", tabindex: "0", role: "group"},
      this.image, this.overlay, this.markers, this.label, this.state, this.note);
  }

  watch() {
    watchDevicePixels(this.element, () => this.draw());
    listen(this.element, () => this.viewing.drag, {
      activate: () => this.on.activate(this),
      window: (dx, dy) => this.on.viewing({
        width: Math.min(100, Math.max(1, this.viewing.width + dx * 0.2)),
        level: Math.min(100, Math.max(0, this.viewing.level - dy * 0.1)),
      }),
      pan: (dx, dy) => this.panBy(dx, dy),
      zoom: (factor, point) => this.zoomBy(factor, point),
      hover: (point) => {
        this.pointer = point;
        this.draw();
      },
    });
    this.element.addEventListener("keydown", (event) => onKey(event, this, this.on));
    this.element.addEventListener("focus", () => this.on.activate(this));
    this.element.addEventListener("dblclick", (event) => {
      if (!event.target.closest("button")) this.on.command("toggle-layout");
    });
  }

  /** In CSS pixels, as its canvases lie on the screen; of the last painting. */
  get size() {
    const {width, height, ratio} = this.screen;
    return {width: width / ratio, height: height / ratio};
  }

  /** Show a reading, or say which view is awaited here. */
  show(reading, expected = "") {
    const changed = reading !== this.reading;
    Object.assign(this, {reading, expected});
    if (changed) this.placement = null;
    this.draw();
  }

  /** The placement that shows the whole breast. */
  fitting() {
    return fitted(this.size, this.reading.result.probability_map.bbox, this.reading,
      this.viewing.layout === "four" ? this.reading.side : null);
  }

  /** One source pixel on one pixel of the screen, the centre staying where it is. */
  oneToOne() {
    if (!this.ready) return;
    this.zoomBy(1 / window.devicePixelRatio / this.placement.zoom);
  }

  centre([x, y], zoom = this.placement.zoom) {
    this.place({zoom, x, y});
  }

  panBy(dx, dy) {
    if (this.ready) this.place(panned(this.placement, [dx, dy], this.reading));
  }

  zoomBy(factor, point = [this.size.width / 2, this.size.height / 2]) {
    if (this.ready) this.place(zoomed(this.size, this.placement, factor, point));
  }

  place(placement) {
    this.placement = placement;
    this.isFitted = false;
    this.on.moved(this);
    this.draw();
  }

  get ready() {
    return this.reading?.isReady === true && this.placement !== null;
  }

  /** Lay the canvases onto the pixels of the screen that the pane has now. */
  settle() {
    const before = this.screen;
    this.screen = devicePixels(this.element);
    // What was shown whole stays so.
    const isSame = ["width", "height", "ratio"].every((name) => before[name] === this.screen[name]);
    if (!isSame && this.isFitted) this.placement = null;
    for (const canvas of [this.image, this.overlay]) layOnto(canvas, this.screen);
  }

  /** Paint before the screen's next frame. */
  draw() {
    this.frame ||= requestAnimationFrame(() => {
      this.frame = 0;
      this.paint();
    });
  }

  paint() {
    this.settle();
    const {reading, viewing} = this;
    const shown = reading?.isReady === true;
    if (shown && this.placement === null && this.size.width > 0) {
      this.placement = this.fitting();
      this.isFitted = true;
      this.on.first(this);
    }
    this.element.classList.toggle("empty", !shown);
    this.describe(shown);
    if (!shown) this.blank();
    if (!shown || this.placement === null) return;
    const area = this.area();
    const found = {map: reading.decoded.map, heat: reading.decoded.heat,
      cut: reading.cutBy(viewing)};
    paintImage(this.image, reading.decoded.levels, area, viewing, this.scratch);
    this.overlay.style.opacity = viewing.opacity / 100;
    paintOverlay(this.overlay, viewing.overlay, area, found);
    this.mark(found);
    this.loupe.show(viewing.loupe ? this.pointer ?? this.ownCentre() : null, this, viewing);
    Object.assign(this.element.dataset, area, {drawn: reading.name});
  }

  /** Keep no pixel of what is not shown. */
  blank() {
    for (const canvas of [this.image, this.overlay, this.scratch]) canvas.width = canvas.height = 0;
    this.loupe.blank();
    for (const name of ["drawn", "left", "top", "scale"]) delete this.element.dataset[name];
  }

  ownCentre() {
    const focused = document.activeElement === this.element;
    return focused ? [this.size.width / 2, this.size.height / 2] : null;
  }

  area() {
    const {zoom, x, y} = this.placement;
    const scale = zoom * this.screen.ratio;
    const area = {scale, left: x - this.image.width / scale / 2,
      top: y - this.image.height / scale / 2};
    if (Math.abs(scale - 1) > 1e-6) return area;
    // At 1:1 the source's pixels are the screen's: nothing is to be smoothed.
    return {scale: 1, left: Math.round(area.left), top: Math.round(area.top)};
  }

  /** Number the regions beside their boxes. */
  mark({cut}) {
    const {size} = this;
    const shown = this.viewing.overlay === "none" ? [] : cut.regions.slice(0, MAX_MARKS);
    this.markers.replaceChildren(...shown.flatMap(({bbox: [x, y, width, height]}, index) => {
      const [right, top] = toPane(size, this.placement, [x + width, y]);
      const [left, bottom] = toPane(size, this.placement, [x, y + height]);
      if (right < 0 || bottom < 0 || left > size.width || top > size.height) return [];
      const mark = make("span", {class: cut.held[index] ? "mark selected" : "mark",
        "aria-hidden": "true"}, String(index + 1));
      mark.style.left = `${Math.round(Math.min(right, size.width - MARK_PX))}px`;
      mark.style.top = `${Math.round(Math.max(top, MARK_PX))}px`;
      return [mark];
    }));
  }

  describe(shown) {
    const {reading} = this;
    const side = reading?.side ?? this.expected[0];
    this.label.classList.toggle("right", side === "L" && this.viewing.layout === "four");
    this.state.classList.toggle("right", side === "L" && this.viewing.layout === "four");
    if (!shown) return this.describeMissing();
    this.note.hidden = true;
    this.label.textContent = reading.view;
    const {score} = reading.result.has_mask;
    const regions = reading.cutBy(this.viewing).regions.length;
    const zoom = this.placement === null ? 1 : this.placement.zoom * window.devicePixelRatio;
    const {width, level} = this.viewing;
    const window_ = this.viewing.layout === "four" ? ""
      : ` · window ${Math.round(width)}, level ${Math.round(level)}`;
    this.state.textContent = `${scoreOf(reading)} · zoom ${Math.round(zoom * 100)} %${window_}`;
    this.element.setAttribute("aria-label",
      `${reading.view}, ${reading.path}: has-mask score ${score.toFixed(3)}, `
      + `${regions} ${regions === 1 ? "region" : "regions"} at this threshold`);
  }
  /** Say why there is nothing to see, and let it be asked for again where that may help. */
  describeMissing() {
    const {reading} = this;
    const isLost = Boolean(reading?.pictureProblem);
    this.noteText.textContent = noteOf(reading, this.expected);
    this.note.hidden = this.noteText.textContent === "";
    this.again.hidden = !isLost;
    this.again.textContent = reading?.isOutdated ? "Read this image again" : "Try again";
    this.label.textContent = isLost ? reading.view : this.expected;
    this.state.textContent = isLost ? scoreOf(reading) : "";
    this.markers.replaceChildren();
    this.loupe.show(null);
    this.element.setAttribute("aria-label", this.noteText.textContent || "No image");
  }
}

const scoreOf = (reading) =>
  `${shortened(reading.path)} · score ${reading.result.has_mask.score.toFixed(3)}`;

const MAX_NAME = 32;

/** A long name without its middle: files of a study differ at their ends. */
function shortened(name) {
  if (name.length <= MAX_NAME) return name;
  const half = (MAX_NAME - 1) / 2;
  return `${name.slice(0, Math.floor(half))}…${name.slice(-Math.ceil(half))}`;
}

const WELCOME = "Drop mammograms anywhere on this page. They go to this service and nowhere else, "
  + "and nothing of them is kept.";

function noteOf(reading, expected) {
  if (!reading) return expected ? "not among these images" : WELCOME;
  if (reading.state === "failed") return `${reading.name}: ${reading.problem.message}`;
  if (reading.pictureProblem !== null) {
    return `${reading.name}: what was found stays, but its picture cannot be had now. `
      + reading.pictureProblem.message;
  }
  return `${reading.name} …`;
}
