// One image that was given to the page, from its file to its findings.

import {cut, lesionMap} from "./lesion-map.js";
import {heatOf} from "./paint-overlay.js";
import {Ended, Replaced} from "./requests.js";
import {heldBy, serviceMask} from "./service-mask.js";
import {segment} from "./service.js";

/** What is painted. */
export const PICTURES = ["image", "probability", "activation"];

let serial = 0;

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
    this.close("Images were read anew meanwhile. Save them again.");
    this.attempt++;
    this.leave = new AbortController();
    Object.assign(this, {options, state: "waiting", sent: 0, problem: null, result: null,
      contract: null, pictures: null, pictureProblem: null});
  }

  /**
   * Wait for nothing any more: neither for an answer, nor for pixels, nor for files that are made of
   * it. `leave` is the signal of all of them.
   */
  close(why = "") {
    this.leave?.abort(new Ended(why));
    this.letGo();
  }

  /** Let the pixels go; what is being asked for or decoded is of nobody then. */
  letGo() {
    this.decoding?.leave.abort();
    this.stopAsking();
    Object.assign(this, {decoding: null, decoded: null, lastCut: null, cutThreshold: null});
  }

  /** Whether there is something to show: findings, and pixels. */
  get isReady() {
    return this.state === "done" && this.decoded !== null;
  }

  /** Whether its pictures cannot be had any more: the model that read it is gone. */
  get isOutdated() {
    return this.pictureProblem instanceof Replaced;
  }

  /** Whether the service has said what it has to say. */
  get isEnded() {
    return this.state === "done" || this.state === "failed";
  }

  /** Whether it failed for the service's sake, or for want of a key: sent again, it may be read. */
  get isUnanswered() {
    return this.state === "failed" && this.problem.isRefusal === false;
  }

  /** Whether the service warned of something, by its code. */
  isWarned(code) {
    return this.result?.warnings.some((warning) => warning.code === code) ?? false;
  }

  /**
   * Decode the pixels of this attempt, once; ended quietly by what lets them go. What was found stays
   * where they cannot be had: `pictureProblem` says why, until they are asked for again.
   */
  decode(decoder) {
    this.decoding ??= this.beginDecoding(decoder);
    return this.decoding.done;
  }

  beginDecoding(decoder) {
    const {result} = this;
    const leave = new AbortController();
    this.pictureProblem = null;
    const done = this.ask()
      .then(({image, probability, activation}) =>
        decoder.decode(image, [probability, activation], leave.signal))
      .then((pictures) => {
        // Let go between the answer and this: nothing is kept that nobody counts.
        if (!leave.signal.aborted) this.decoded = decodedOf(pictures, result);
      })
      .catch((problem) => {
        if (leave.signal.aborted) return;
        this.letGo();
        // Such as came may be what is broken.
        Object.assign(this, {pictures: null, pictureProblem: problem});
      });
    return {leave, done};
  }

  /** Return the pictures of this attempt, asked for where they are not kept; once, for all who wait. */
  async ask() {
    if (this.pictures !== null) return this.pictures;
    this.asking ??= this.beginAsking();
    return this.asking.done;
  }

  beginAsking() {
    const leave = new AbortController();
    const {signal} = leave;
    const done = segment(this.file, {...this.options, output: PICTURES.join(",")},
      {signal, sha256: this.result.model.sha256}).then((pictures) => {
      signal.throwIfAborted();
      this.pictures = pictures;
      return pictures;
    }).finally(() => {
      if (!signal.aborted) this.asking = null;
    });
    return {leave, done};
  }

  stopAsking() {
    this.asking?.leave.abort();
    this.asking = null;
  }

  /** How much memory its pictures take, as they came. */
  get pictureBytes() {
    return this.pictures?.image.buffer.byteLength ?? 0;
  }

  get name() {
    return this.file.name;
  }

  /** The name with that of its folder: two studies have files of one name. */
  get path() {
    const folder = this.group.name?.split("/").pop();
    return folder ? `${folder}/${this.name}` : this.name;
  }

  get side() {
    return this.result?.image.laterality ?? null;
  }

  get view() {
    const {laterality, view_position: position} = this.result?.image ?? {};
    const view = [laterality, position].filter(Boolean).join(" ") || "View unknown";
    return this.isSpecial ? `${view}, special view` : view;
  }

  /** Whether it is a spot, magnification or other special view, which stands for none of the four. */
  get isSpecial() {
    return this.isWarned("special-view");
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

  /** The threshold that the reader chose, or else that of the model which gave this answer. */
  thresholdBy({threshold}) {
    return threshold ?? this.contract.operating_point.mask;
  }

  /** The map, cut as the page's viewing settings have it; `held`: which regions the mask holds. */
  cutBy(viewing) {
    const threshold = this.thresholdBy(viewing);
    if (this.cutThreshold !== threshold) {
      const minimum = this.result.probability_map.minimum_region_pixels;
      const {map, mask} = this.decoded;
      const found = cut(map, threshold, minimum);
      this.lastCut = {...found, held: heldBy(mask, map, found)};
      this.cutThreshold = threshold;
    }
    return this.lastCut;
  }

  /** What the regions of the cut are, in words: what the service's mask holds is the mask. */
  namesBy(viewing) {
    const reachesBeyond = this.thresholdBy(viewing) < this.contract.operating_point.mask;
    const name = reachesBeyond ? "mask and more" : "mask";
    return this.cutBy(viewing).held.map((held) => (held ? name : "candidate"));
  }
}

function decodedOf({levels, maps: [probability, activation]}, {probability_map: {bbox}, mask}) {
  return {
    levels,
    map: lesionMap(probability, bbox),
    mask: serviceMask(mask),
    heat: {heatmap: heatOf("heatmap", probability), activation: heatOf("activation", activation)},
  };
}
