// The images that were given to the page, and what the service found in each. All of it lives in
// this tab: it is gone when the page is closed.

import {Decoder} from "./decoder.js";
import {PICTURES, Reading} from "./reading.js";
import {jsonOf} from "./requests.js";
import {segment} from "./service.js";

const AT_ONCE = 2;
const DECODED_AT_ONCE = 6;

/** Of all answers' pictures: 14 full films. A hundred would not fit into the memory of a tab. */
const MAX_PICTURE_BYTES = 128 * 2 ** 20;

/** Sends files, a few at a time, and decodes what comes back. */
export class Readings extends EventTarget {
  /** @param models tells the contract of the model that gave an answer, see models.js */
  constructor(models) {
    super();
    this.models = models;
    this.all = [];
    this.running = 0;
    this.decoder = new Decoder();
    this.shown = [];
    /** Whose pictures are being asked for before it is shown. */
    this.ahead = null;
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

  /** Send what the service did not answer, or not for the image's sake, as it was sent before. */
  resend() {
    for (const reading of this.all) if (reading.isUnanswered) reading.begin(reading.options);
    this.next();
  }

  clear() {
    // The service need not look at what nobody waits for.
    for (const reading of this.all) reading.close();
    this.all = [];
    this.shown = [];
    this.ahead = null;
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
      const forms = ["json", ...PICTURES].join(",");
      const {json, ...pictures} = await segment(reading.file, {...reading.options, output: forms},
        {
          onProgress: (state, sent) => tell({state: state === "waiting" ? "queued" : state, sent}),
          signal: reading.leave.signal,
        });
      const result = jsonOf(json);
      const contract = await this.models.contractOf(result.model);
      tell({pictures, result, contract, state: "done"});
      this.letPicturesGo();
    } catch (problem) {
      tell({problem, state: "failed"});
    }
  }

  /** Bring a reading's pixels back; those that were not looked at for long are let go. */
  decode(reading) {
    this.shown = [reading, ...this.shown.filter((one) => one !== reading)];
    for (const old of this.shown.splice(DECODED_AT_ONCE)) old.letGo();
    if (this.ahead !== null && ![...this.shown, ...this.beside()].includes(this.ahead)) {
      this.ahead.stopAsking();
    }
    return reading.decode(this.decoder).then(() => {
      this.letPicturesGo();
      this.askAhead();
    });
  }

  /** What is likely to be shown next, and was read. */
  beside() {
    const at = this.all.indexOf(this.shown[0]);
    return [1, 2, -1].map((by) => this.all[at + by]).filter((one) => one?.state === "done");
  }

  /** Ask for the pictures of what lies beside the image that is shown, once nothing else is to be done. */
  async askAhead() {
    const [shown] = this.shown;
    // Where its own found no room, those of others find none.
    if (!shown?.pictures || !this.all.every((one) => one.isEnded)) return;
    for (const one of this.beside()) {
      if (this.shown[0] !== shown) return;
      this.ahead = one;
      // Why there are none is told where it is shown.
      await one.ask().catch(() => {});
      this.letPicturesGo();
    }
    this.ahead = null;
  }

  /** Keep the pictures that fit, nearest to what is shown; others are asked for when they are shown. */
  letPicturesGo() {
    const shown = this.all.indexOf(this.shown[0]);
    const far = this.all.map((reading, index) => [Math.abs(index - shown), reading])
      .filter(([, reading]) => reading.pictures !== null)
      .sort(([one], [other]) => other - one);
    let bytes = far.reduce((sum, [, reading]) => sum + reading.pictureBytes, 0);
    for (const [, reading] of far) {
      if (bytes <= MAX_PICTURE_BYTES) return;
      bytes -= reading.pictureBytes;
      reading.pictures = null;
    }
  }

  changed(reading) {
    this.dispatchEvent(new CustomEvent("change", {detail: reading}));
  }
}
