// The images that were given to the page, and what the service found in each. All of it lives in
// this tab: it is gone when the page is closed.

import {heatOf} from "./paint-overlay.js";
import {cut, lesionMap} from "./lesion-map.js";
import {segment} from "./service.js";

const AT_ONCE = 2;
const DECODED_AT_ONCE = 8;
const FORMS = "json,image,probability,activation";

let serial = 0;

/** One image, from its file to its findings. */
export class Reading {
  constructor(file, group) {
    this.id = ++serial;
    this.file = file;
    this.group = group;
    this.attempt = 0;
    this.begin({});
  }

  /** Forget what was found, if anything, and wait to be sent. */
  begin(options) {
    this.attempt++;
    this.leave?.abort();
    this.leave = new AbortController();
    Object.assign(this, {options, state: "waiting", sent: 0, problem: null, result: null,
      blobs: null, decoded: null, decoding: null, cutThreshold: null});
  }

  get name() {
    return this.file.name;
  }

  get side() {
    return this.result?.image.laterality ?? null;
  }

  get view() {
    const {laterality, view_position: position} = this.result?.image ?? {};
    return [laterality, position].filter(Boolean).join(" ") || "View unknown";
  }

  get columns() {
    return this.result.image.columns;
  }

  get rows() {
    return this.result.image.rows;
  }

  /** Millimetres a pixel; without a spacing the whole long side is taken as one length. */
  get mm() {
    return this.result.image.pixel_spacing_mm?.[0] ?? 240 / Math.max(this.rows, this.columns);
  }

  /** mm2 of source pixels, or null where the spacing is unknown. */
  areaOf(pixels) {
    const spacing = this.result.image.pixel_spacing_mm;
    return spacing ? pixels * spacing[0] * spacing[1] : null;
  }

  cutAt(threshold) {
    if (this.cutThreshold !== threshold) {
      const minimum = this.result.probability_map.minimum_region_pixels;
      this.lastCut = cut(this.decoded.map, threshold, minimum);
      this.cutThreshold = threshold;
    }
    return this.lastCut;
  }

  /** Whether a region of a cut lies in the service's mask: its peak is in a selected region. */
  isSelected({peak: [x, y]}) {
    return !this.result.mask.gated && this.result.regions.some(({selected, bbox}) => selected
      && x >= bbox[0] && x < bbox[0] + bbox[2] && y >= bbox[1] && y < bbox[1] + bbox[3]);
  }
}

/** Sends files, a few at a time, and decodes what comes back. */
export class Readings extends EventTarget {
  constructor() {
    super();
    this.all = [];
    this.running = 0;
    this.worker = new Worker(new URL("decode-worker.js", import.meta.url), {type: "module"});
    this.waiting = new Map();
    this.worker.addEventListener("message", ({data}) => this.settle(data));
    this.shown = [];
  }

  add(found, options) {
    const added = found.map(({file, group}) => new Reading(file, group));
    this.all.push(...added);
    this.start(added, options);
    return added;
  }

  /** Send readings (again): what was found before is dropped. */
  start(readings, options) {
    for (const reading of readings) reading.begin(options);
    this.next();
  }

  clear() {
    // The service need not look at what nobody waits for.
    for (const reading of this.all) reading.leave.abort();
    this.all = [];
    this.shown = [];
    this.changed(null);
  }

  next() {
    while (this.running < AT_ONCE) {
      const reading = this.all.find((one) => one.state === "waiting");
      if (reading === undefined) break;
      this.running++;
      this.send(reading).finally(() => {
        this.running--;
        this.next();
      });
    }
    this.changed(null);
  }

  async send(reading) {
    const {attempt} = reading;
    const tell = (changes) => {
      // What was closed, or begun again meanwhile, is not told of any more.
      if (attempt !== reading.attempt || !this.all.includes(reading)) return;
      Object.assign(reading, changes);
      this.changed(reading);
    };
    tell({state: "sending"});
    try {
      const blobs = await segment(reading.file, {...reading.options, output: FORMS},
        (state, sent) => tell({state: state === "waiting" ? "queued" : state, sent}),
        reading.leave.signal);
      tell({blobs, result: JSON.parse(await blobs.json.text()), state: "done"});
    } catch (problem) {
      tell({problem, state: "failed"});
    }
  }

  /** Bring a reading's pixels back; those that were not looked at for long are let go. */
  decode(reading) {
    this.shown = [reading, ...this.shown.filter((one) => one !== reading)];
    for (const old of this.shown.splice(DECODED_AT_ONCE)) old.decoded = old.decoding = null;
    reading.decoding ??= new Promise((resolve) => {
      this.waiting.set(reading.id, {reading, resolve});
      const {image, probability, activation} = reading.blobs;
      this.worker.postMessage({id: reading.id, image, maps: [probability, activation]});
    });
    return reading.decoding;
  }

  settle({id, levels, maps, fault}) {
    const {reading, resolve} = this.waiting.get(id);
    this.waiting.delete(id);
    if (fault) {
      const problem = new Error(`The picture could not be read: ${fault}.`);
      Object.assign(reading, {state: "failed", problem});
      resolve();
      this.changed(reading);
      return;
    }
    const [probability, activation] = maps;
    reading.decoded = {
      levels,
      map: lesionMap(probability, reading.result.probability_map.bbox),
      heat: {heatmap: heatOf("heatmap", probability), activation: heatOf("activation", activation)},
    };
    resolve();
  }

  changed(reading) {
    this.dispatchEvent(new CustomEvent("change", {detail: reading}));
  }
}
